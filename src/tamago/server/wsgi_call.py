"""One call of a WSGI application, in a thread: start_response, the iteration, and close, to the letter of PEP 3333.

What is sent goes through a `Sink`; this file knows neither sockets nor the event loop.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any, Protocol

from tamago.server.wsgi_environ import Environ

ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]
WsgiApp = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]


class Sink(Protocol):
    """Where the answer goes. Called from the thread."""

    def head(self, status: int, fields: list[tuple[bytes, bytes]]) -> None:
        """Take status and header fields, before any data."""

    def data(self, data: bytes, *, more: bool) -> None:
        """Take a piece; may block until there is room. Raises when nobody reads any more."""


class WsgiCall:
    """Calls the application once."""

    def __init__(self, app: WsgiApp, environ: Environ, sink: Sink) -> None:
        self._app = app
        self._environ = environ
        self._sink = sink
        self._status: int | None = None
        self._fields: list[tuple[bytes, bytes]] = []
        self._left: int | None = None  # of the announced content-length
        self._begun = False
        self._ended = False

    def run(self) -> None:
        """Call, iterate, close. What the application raises comes through."""
        result = self._app(self._environ, self._start_response)
        try:
            if isinstance(result, (list, tuple)) and len(result) == 1 and self._status is not None:
                self._send(result[0], more=False)
            else:
                for data in result:
                    # An empty piece must not send the head: the application may still change its mind.
                    if data:
                        self._write(data)
            if not self._ended:
                self._send(b"", more=False)
        finally:
            close = getattr(result, "close", None)
            if close is not None:
                close()

    def _start_response(self, status: str, headers: list[tuple[str, str]], exc_info: ExcInfo | None = None) -> Callable[[bytes], None]:
        if exc_info is not None and exc_info[1] is not None:
            try:
                if self._begun:
                    raise exc_info[1].with_traceback(exc_info[2])
            finally:
                exc_info = None  # a cycle with the frame otherwise
        elif self._status is not None:
            raise AssertionError("start_response was called twice without exc_info")
        self._status = int(status.split(" ", 1)[0])
        self._fields = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
        self._left = next((int(value) for name, value in headers if name.lower() == "content-length"), None)
        return self._write

    def _write(self, data: bytes) -> None:
        """Send a piece. The one that completes the announced length is the last: the client need not wait for what follows it."""
        if self._ended:
            if data:
                raise ValueError("the application sent more than its content-length")
            return
        last = self._left is not None and self._left == len(data)
        self._send(data, more=not last)
        if self._left is not None:
            self._left -= len(data)

    def _send(self, data: bytes, *, more: bool) -> None:
        if self._status is None:
            raise AssertionError("the application sent a body before it called start_response")
        if not self._begun:
            self._begun = True
            self._sink.head(self._status, self._fields)
        self._ended = not more
        self._sink.data(data, more=more)
