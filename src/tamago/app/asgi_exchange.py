"""An exchange over ASGI, for an application that runs under any ASGI server or in a test."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any
from urllib.parse import quote

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Fields = Iterable[tuple[bytes, bytes]]

_BODILESS = frozenset({204, 304})
_PIECE = 256 * 1024


class AsgiExchange:
    """One HTTP request over ASGI, as `tamago.types.Exchange`.

    ASGI sends with `await`, an exchange without; so what is written waits here until `drain` or `finish`.
    """

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scope = scope
        self.method: str = scope.get("method", "GET")
        self.root_path: str = scope.get("root_path", "")
        self.target = request_target(scope)
        self.fields = [(bytes(name), bytes(value)) for name, value in scope["headers"]]
        self.version: str = scope.get("http_version", "1.1")
        self.scheme: str = scope.get("scheme", "http")
        client = scope.get("client")
        self.client: tuple[str, int] | None = (client[0], client[1] or 0) if client else None
        self.gone = self.hung_up = False
        self.body: object | None = self if has_body(self.method, self.version, self.fields) else None
        self.complete = False
        self._receive = receive
        self._send = send
        self._read_to_end = False
        self._arrived: list[bytes] = []
        self._head: Message | None = None
        self._unsent: list[Message] = []

    # ── the request ──────────────────────────────────────────────────────────────────────────────────────────────────

    async def read(self) -> bytes:
        """Return the next piece of the body, b"" at its end. Raises ConnectionError when the client left before."""
        while not self._arrived:
            if self._read_to_end:
                return b""
            if self.gone:
                raise ConnectionError("the client left in the middle of its request")
            await self.wait_for_input()
        return self._arrived.pop(0)

    async def wait_for_input(self) -> None:
        """Return when body arrived, the body ended, or the client left (`gone`)."""
        message = await self._receive()
        if message["type"] != "http.request":
            self.gone = True
            return
        if message.get("body"):
            self._arrived.append(message["body"])
        self._read_to_end = not message.get("more_body", False)

    # ── the answer ───────────────────────────────────────────────────────────────────────────────────────────────────

    def respond(self, status: int, fields: Fields, data: bytes) -> None:
        """Answer at once; a content-length is added unless `fields` has one."""
        self.start(status, fields)
        self.write(data)

    def start(self, status: int, fields: Fields) -> None:
        """Give status and header fields of an answer that follows in pieces."""
        if self._head is not None:
            raise RuntimeError("the answer was started twice")
        self._head = {"type": "http.response.start", "status": status, "headers": list(fields)}

    def write(self, data: bytes, *, more: bool = False) -> None:
        """Send a piece of the body; the last one says `more=False`."""
        if self._head is None:
            raise RuntimeError("the answer has no head yet: start comes before write")
        if self.complete:
            raise RuntimeError("the answer was already complete")
        if not self._unsent and not more and "sent" not in self._head:
            self._measure(len(data))
        self._queue_head()
        bodiless = self.method == "HEAD" or self._head["status"] in _BODILESS
        self._unsent.append({"type": "http.response.body", "body": b"" if bodiless else data, "more_body": more})
        self.complete = not more

    async def drain(self) -> None:
        """Send what was written."""
        while self._unsent and not self.gone:
            message = self._unsent.pop(0)
            try:
                await self._send(message)
            except OSError:
                self.gone = True  # as servers say it from ASGI 2.4 on

    async def send_file(self, path: str) -> None:
        """After `start`: send a file as the whole body. Raises OSError for one that cannot be read."""
        size = os.stat(path).st_size
        self._measure(size)
        if self.method == "HEAD" or not size:
            self.write(b"")
        elif "http.response.pathsend" in self.scope.get("extensions", {}):
            self._queue_head()
            self._unsent.append({"type": "http.response.pathsend", "path": os.path.abspath(path)})  # noqa: ASYNC240
            self.complete = True
        else:
            await self._send_pieces(path)
        await self.drain()

    async def finish(self) -> None:
        """Send what is left. Raises RuntimeError for an answer that is not complete, and that the server has to cut."""
        await self.drain()
        if not self.complete and not self.gone:
            raise RuntimeError(f"{self.method} {self.target.decode('latin-1')}: the application returned without completing its answer")

    async def _send_pieces(self, path: str) -> None:
        with await asyncio.to_thread(open, path, "rb") as file:
            while piece := await asyncio.to_thread(file.read, _PIECE):
                self.write(piece, more=True)
                await self.drain()
        self.write(b"")

    def _measure(self, size: int) -> None:
        head = self._head
        if head is None:
            raise RuntimeError("the answer has no head yet: start comes first")
        known = any(name == b"content-length" for name, _ in head["headers"])
        # HEAD may well not know; and a status without body has none to measure.
        if not known and head["status"] not in _BODILESS and (size or self.method != "HEAD"):
            head["headers"].append((b"content-length", b"%d" % size))

    def _queue_head(self) -> None:
        if self._head is not None and "sent" not in self._head:
            self._unsent.append(dict(self._head))
            self._head["sent"] = True


def request_target(scope: Scope) -> bytes:
    """Return path and query of a scope as they stood in the request line, without the root path."""
    path: bytes = scope.get("raw_path") or quote(scope["path"], safe="/:@!$&'()*+,;=~-._").encode()
    root = quote(scope.get("root_path", ""), safe="/:@!$&'()*+,;=~-._").encode()
    # From ASGI 2.4 on the path begins with the root path; before, servers differed.
    if root and (path == root or path.startswith(root + b"/")):
        path = path[len(root) :] or b"/"
    query: bytes = scope.get("query_string", b"")
    return path + b"?" + query if query else path


def has_body(method: str, version: str, fields: Iterable[tuple[bytes, bytes]]) -> bool:
    """Say whether a request has a body. HTTP/2 need not announce one."""
    said = dict(fields)
    length = said.get(b"content-length")
    if length is not None:
        return length.strip() not in {b"", b"0"}
    return b"transfer-encoding" in said or (not version.startswith("1") and method not in {"GET", "HEAD", "OPTIONS"})
