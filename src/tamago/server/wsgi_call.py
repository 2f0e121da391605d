"""One call of a WSGI application, in a thread: start_response, the iteration, and close, to the letter of PEP 3333.

What is sent goes through a `Sink`; this file knows neither sockets nor the event loop.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any, Protocol

from tamago.server.file_wrapper import FileWrapper
from tamago.server.response_head import Fields, ResponseHead
from tamago.server.wsgi_environ import Environ

ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]
WsgiApp = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]


class Sink(Protocol):
    """Where the answer goes. Called from the thread."""

    def make_head(self, status: int, fields: Fields, /) -> ResponseHead:
        """Check and encode the head. Raises ValueError or TypeError for what may not be sent."""

    def take(self, head: ResponseHead | None, data: bytes, more: bool) -> None:
        """Take a piece, the first one with the head; may block until there is room. Raises when nobody reads any more."""


class WsgiCall:
    """Calls the application once."""

    __slots__ = ("_app", "_environ", "_head", "_left", "_sent", "_sink", "ended")

    def __init__(self, app: WsgiApp, environ: Environ, sink: Sink) -> None:
        self._app = app
        self._environ = environ
        self._sink = sink
        self._head: ResponseHead | None = None
        self._left: int | None = None  # of the announced content-length
        self._sent = False  # the head, with the first piece
        self.ended = False  # the last piece is sent

    def run(self) -> None:
        """Call, iterate, close. What the application raises comes through."""
        result = self._app(self._environ, self._start_response)
        try:
            self._iterate(result)
        finally:
            close = getattr(result, "close", None)
            if close is not None:
                close()

    def _iterate(self, result: Iterable[bytes]) -> None:
        if isinstance(result, (list, tuple)) and len(result) == 1 and self._head is not None and not self._sent:
            self._send(result[0], more=False)
            return
        if isinstance(result, FileWrapper) and self._head is not None:
            result = result.blocks(self._left)
        for data in result:
            # An empty piece must not send the head: the application may still change its mind.
            if data:
                self._write(data)
        if not self.ended:
            self._send(b"", more=False)

    def _start_response(self, status: str, headers: list[tuple[str, str]], exc_info: ExcInfo | None = None) -> Callable[[bytes], None]:
        if exc_info is not None and exc_info[1] is not None:
            try:
                if self._sent:
                    raise exc_info[1].with_traceback(exc_info[2])
            finally:
                exc_info = None  # a cycle with the frame otherwise
        elif self._head is not None:
            raise AssertionError("start_response was called twice without exc_info")
        # Checked here and not when it is sent: the traceback then leads to who made the header.
        head = self._sink.make_head(int(status[:3]), [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers])
        self._head, self._left = head, head[2]
        return self._write

    def _write(self, data: bytes) -> None:
        """Send a piece. The one that completes the announced length is the last: the client need not wait for what follows it."""
        if self.ended:
            if data:
                raise ValueError("the application sent more than its content-length")
            return
        left = self._left
        if left is None:
            self._send(data, more=True)
        else:
            self._left = left - len(data)
            self._send(data, more=left != len(data))

    def _send(self, data: bytes, *, more: bool) -> None:
        head = self._head
        if head is None:
            raise AssertionError("the application sent a body before it called start_response")
        if type(data) is not bytes:
            data = _as_bytes(data)
        self.ended = not more
        if self._sent:
            self._sink.take(None, data, more)
        else:
            self._sent = True
            self._sink.take(head, data, more)


def _as_bytes(data: object) -> bytes:
    """Return a copy: what may change must not do so on its way."""
    if isinstance(data, (bytes, bytearray, memoryview)):
        return bytes(data)
    raise TypeError(f"a WSGI application's body is made of bytes, not {type(data).__name__}")
