"""A small HTTP/1.1 client that knows what it opened and when: one connection, one request at a time."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass


class BadResponseError(Exception):
    """The connection ended, or said something else than HTTP, before a whole response was there."""


@dataclass(frozen=True, slots=True)
class Response:
    status: int
    body: bytes
    closes: bool


class Connection:
    """An open connection; `get` may be called again while `reusable`."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._closes = False

    @classmethod
    async def open(cls, port: int, *, tls: bool = False) -> Connection:
        """Connect; with `tls` whoever answers is believed."""
        context = ssl._create_unverified_context() if tls else None  # noqa: SLF001 - it is our own, on loopback
        return cls(*await asyncio.open_connection("127.0.0.1", port, ssl=context))

    @property
    def reusable(self) -> bool:
        """The server has neither announced nor begun to close."""
        return not self._closes and not self._reader.at_eof() and not self._writer.is_closing()

    async def get(self, path: str) -> Response:
        self._writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        try:
            head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            first, *lines = head.split("\r\n")
            headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)}
            body = await self._body(headers)
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            raise BadResponseError(f"{type(error).__name__} instead of a response") from error
        self._closes = headers.get("connection", "").lower() == "close"
        return Response(int(first.split()[1]), body, self._closes)

    async def _body(self, headers: dict[str, str]) -> bytes:
        if "content-length" in headers:
            return await self._reader.readexactly(int(headers["content-length"]))
        if headers.get("transfer-encoding", "").lower() == "chunked":
            parts = []
            while size := int(await self._reader.readline(), 16):
                parts.append((await self._reader.readexactly(size + 2))[:-2])
            await self._reader.readline()
            return b"".join(parts)
        return await self._reader.read()

    def close(self) -> None:
        self._writer.close()
