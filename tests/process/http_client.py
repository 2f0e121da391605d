"""A blocking HTTP/1.1 client for one connection: small enough to see everything the server does with it."""

from __future__ import annotations

import json
import socket
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

Place = tuple[str, int] | str
"""Where to connect: (host, port), or the path of a Unix socket."""


class LostError(Exception):
    """No complete answer came; the text says how much of one did."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One response."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def closes(self) -> bool:
        return self.headers.get("connection", "").lower() == "close"

    @property
    def text(self) -> str:
        return self.body.decode()

    def json(self) -> Any:
        return json.loads(self.body)


class Connection:
    """One connection. Reads block; the deadline is that of the test."""

    def __init__(self, place: Place, *, timeout: float | None = None, source: str = "") -> None:
        family = socket.AF_UNIX if isinstance(place, str) else socket.AF_INET6 if ":" in place[0] else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_STREAM)
        self.socket.settimeout(timeout)
        try:
            if source:
                self.socket.bind((source, 0))
            self.socket.connect(place)
        except BaseException:
            self.socket.close()
            raise
        self._buffer = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        self.socket.close()

    def send(self, path: str = "/", *, body: bytes | None = None, headers: str = "") -> None:
        """Send a request: GET, or POST if there is a body."""
        method = "GET" if body is None else f"POST {path}".split()[0]
        length = "" if body is None else f"Content-Length: {len(body)}\r\n"
        self.socket.sendall(f"{method} {path} HTTP/1.1\r\nHost: test\r\n{length}{headers}\r\n".encode() + (body or b""))

    def receive(self) -> Answer:
        """Read one whole response; raise LostError if the connection ends before."""
        head = self.read_until(b"\r\n\r\n")
        status_line, *fields = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (field.partition(":") for field in fields if field)}
        if headers.get("transfer-encoding") == "chunked":
            body = self._chunks()
        elif "content-length" in headers:
            body = self.read_exactly(int(headers["content-length"]))
        else:
            body = self.read_to_end()
        return Answer(status=int(status_line.split()[1]), headers=headers, body=body)

    def get(self, path: str = "/", *, headers: str = "") -> Answer:
        self.send(path, headers=headers)
        return self.receive()

    def post(self, path: str, body: bytes) -> Answer:
        self.send(path, body=body)
        return self.receive()

    def ended(self) -> bool:
        """Block until the other end closes; return whether it sent nothing more before."""
        return self.read_to_end() == b""

    def read_until(self, end: bytes) -> bytes:
        while end not in self._buffer:
            self._more(f"waiting for {end!r}")
        found, self._buffer = self._buffer.split(end, 1)
        return found

    def read_exactly(self, size: int) -> bytes:
        while len(self._buffer) < size:
            self._more(f"{len(self._buffer)} of {size} bytes are here")
        found, self._buffer = self._buffer[:size], self._buffer[size:]
        return found

    def read_to_end(self) -> bytes:
        while chunk := self.socket.recv(65536):
            self._buffer += chunk
        found, self._buffer = self._buffer, b""
        return found

    def _chunks(self) -> bytes:
        body = b""
        while size := int(self.read_until(b"\r\n").split(b";")[0], 16):
            body += self.read_exactly(size)
            self.read_until(b"\r\n")
        self.read_until(b"\r\n")
        return body

    def _more(self, doing: str) -> None:
        try:
            chunk = self.socket.recv(65536)
        except ConnectionError as error:
            raise LostError(f"{type(error).__name__} while {doing}; so far {self._buffer[:200]!r}") from error
        if not chunk:
            raise LostError(f"end of the connection while {doing}; so far {self._buffer[:200]!r}")
        self._buffer += chunk


def get(place: Place, path: str = "/", *, source: str = "") -> Answer:
    """One request on a connection of its own."""
    with Connection(place, source=source) as connection:
        return connection.get(path, headers="Connection: close\r\n")
