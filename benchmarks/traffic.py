"""All kinds of traffic at once, in a process of its own: `python -m benchmarks.traffic PORT` runs until end of input, prints JSON.

For the application `apps/drained.py`. Nothing is tried again unless the server said that it would not answer: with `Connection: close` on
the answer before, with 1012 on a websocket, or by closing a connection on which nothing had been asked. Anything else that is no complete
and correct answer is lost, and kept with its story.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import itertools
import json
import os
import ssl
import struct
import sys
import zlib
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from benchmarks.apps.drained import PIECE

TIMEOUT = 30.0  # seconds; what takes longer is lost
PIPELINED = 8
PIECES = 12
UPLOAD = bytes(range(256)) * 512  # 128 KiB
MESSAGES = 20
GOING_AWAY = {1001, 1012}


class LostError(Exception):
    """A request did not get what it should have."""


@dataclass(slots=True)
class Tally:
    """What became of the requests. `again` counts those that the server had said it would not answer."""

    answered: Counter[str] = field(default_factory=Counter)
    again: Counter[str] = field(default_factory=Counter)
    lost: list[str] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)


class Wire:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self._writer = reader, writer
        self.step = "connected"
        self.used = 0
        self.closes = False  # the server said so

    def ask(self, method: str, path: str, *fields: str, body: bytes = b"") -> None:
        head = "".join(f"{field}\r\n" for field in ("Host: drain", *fields))
        self.send(f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + body)

    def send(self, data: bytes) -> None:
        self.step = "asked"
        self.used += 1
        self._writer.write(data)

    async def head(self) -> tuple[int, dict[str, str]]:
        lines = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        self.step = f"got {lines[0]!r}"
        fields = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:-2])}
        self.closes = fields.get("connection", "").lower() == "close"
        return int(lines[0].split(" ")[1]), fields

    async def answer(self, expected: bytes) -> None:
        """Read one answer, which must be 200 and this body."""
        status, fields = await self.head()
        body = await self._chunks() if "transfer-encoding" in fields else await self.reader.readexactly(int(fields["content-length"]))
        if status != 200:
            raise LostError(f"status {status}: {body[:100]!r}")
        if body != expected:
            raise LostError(f"wrong body of {len(body)} bytes instead of {len(expected)}: {body[:100]!r}")

    async def _chunks(self) -> bytes:
        body = b""
        while size := int(await self.reader.readuntil(b"\r\n"), 16):
            body += await self.reader.readexactly(size)
            await self.reader.readexactly(2)
            self.step = f"got {len(body)} bytes"
        await self.reader.readexactly(2)
        return body

    async def nothing_more(self) -> None:
        """After an answer that announced the end: the end."""
        if more := await self.reader.read():
            raise LostError(f"bytes after the last answer: {more[:100]!r}")

    def close(self) -> None:
        self._writer.close()

    # ── websocket ────────────────────────────────────────────────────────────────────────────────────────────────────

    def send_text(self, text: bytes) -> None:
        self.send(struct.pack("!BB", 0x81, 0x80 | len(text)) + bytes(4) + text)  # masked with zeros

    async def frame(self) -> tuple[int, bytes]:
        opcode, size = await self.reader.readexactly(2)
        if size > 125:
            raise LostError("a longer frame than was sent")
        return opcode & 15, await self.reader.readexactly(size)


class Traffic:
    """The clients. `tls` is what to connect with, if it is TLS; once `enough` requests were answered they say so, and go on."""

    def __init__(self, host: str, port: int, *, tls: ssl.SSLContext | None = None, scale: int = 1, enough: int = 0) -> None:
        self._host, self._port, self._tls = host, port, tls
        self._numbers = itertools.count(1)
        self._stopping = asyncio.Event()
        self._enough = enough
        self.tally = Tally()
        self._clients: list[tuple[str, int, Callable[[str], Awaitable[None]]]] = [
            ("kept", 8 * scale, self._kept),
            ("fresh", 2 * scale, self._fresh),
            ("pipelined", 2 * scale, self._pipelined),
            ("slow", 2 * scale, self._slow),
            ("upload", 2 * scale, self._upload),
            ("chunked upload", scale, self._chunked_upload),
            ("stream", 2 * scale, self._stream),
            ("websocket", 2 * scale, self._websocket),
        ]

    async def run(self) -> None:
        """Run until the end of standard input."""
        asyncio.get_running_loop().add_reader(sys.stdin, self._stopping.set)
        clients = [(kind, client) for kind, count, client in self._clients for _ in range(count)]
        await asyncio.gather(*(self._repeat(kind, client) for kind, client in clients))

    async def _repeat(self, kind: str, client: Callable[[str], Awaitable[None]]) -> None:
        while not self._stopping.is_set():
            await client(kind)

    async def _open(self) -> Wire:
        name = "localhost" if self._tls else None
        return Wire(*await asyncio.open_connection(self._host, self._port, ssl=self._tls, server_hostname=name))

    def _answered(self, kind: str, number: int) -> None:
        self.tally.answered[kind] += 1
        self.tally.numbers.append(number)
        if len(self.tally.numbers) == self._enough:
            print("enough", flush=True)

    async def _on_one_connection(self, kind: str, talk: Callable[[Wire], Awaitable[None]]) -> None:
        """Open a connection and talk on it; whatever goes wrong is a loss."""
        wire: Wire | None = None
        try:
            async with asyncio.timeout(TIMEOUT):
                wire = await self._open()
            await talk(wire)
            if wire.closes:
                async with asyncio.timeout(TIMEOUT):
                    await wire.nothing_more()
        except (OSError, LostError, asyncio.IncompleteReadError, ValueError, KeyError) as error:
            story = f"{wire.step}, message {wire.used} of its connection" if wire else "connecting"
            self.tally.lost.append(f"{kind}: {error!r} ({story})")
        finally:
            if wire is not None:
                wire.close()

    async def _one(self, kind: str, wire: Wire, ask: Callable[[int], None], expected: Callable[[int], bytes]) -> None:
        number = next(self._numbers)
        async with asyncio.timeout(TIMEOUT):
            ask(number)
            await wire.answer(expected(number))
        self._answered(kind, number)

    # ── kinds ────────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _kept(self, kind: str) -> None:
        async def talk(wire: Wire) -> None:
            # Closed while nothing is asked is polite; that is looked at right before asking.
            while not (wire.closes or wire.reader.at_eof() or self._stopping.is_set()):
                await self._one(kind, wire, lambda number: wire.ask("GET", f"/say/{number}"), lambda number: b"%d" % number)
                await asyncio.sleep(0.004)

        await self._on_one_connection(kind, talk)

    async def _fresh(self, kind: str) -> None:
        await self._on_one_connection(
            kind,
            lambda wire: self._one(
                kind, wire, lambda number: wire.ask("GET", f"/say/{number}", "Connection: close"), lambda number: b"%d" % number
            ),
        )
        await asyncio.sleep(0.01)

    async def _slow(self, kind: str) -> None:
        await self._on_one_connection(
            kind, lambda wire: self._one(kind, wire, lambda number: wire.ask("GET", f"/slow/400/{number}"), lambda number: b"%d" % number)
        )

    async def _stream(self, kind: str) -> None:
        await self._on_one_connection(
            kind,
            lambda wire: self._one(
                kind, wire, lambda number: wire.ask("GET", f"/stream/{PIECES}/{number}"), lambda number: PIECE * PIECES + b"%d" % number
            ),
        )

    async def _pipelined(self, kind: str) -> None:
        waiting: list[int] = []

        async def talk(wire: Wire) -> None:
            while not (wire.closes or wire.reader.at_eof() or self._stopping.is_set()):
                waiting.extend(next(self._numbers) for _ in range(PIPELINED - len(waiting)))
                for number in waiting:
                    wire.ask("GET", f"/say/{number}")
                while waiting and not wire.closes:
                    async with asyncio.timeout(TIMEOUT):
                        await wire.answer(b"%d" % waiting[0])
                    self._answered(kind, waiting.pop(0))
                self.tally.again[kind] += len(waiting)
                await asyncio.sleep(0.02)

        await self._on_one_connection(kind, talk)
        while waiting and not self.tally.lost:  # the server said that it would not answer these
            await self._on_one_connection(kind, talk)

    async def _upload(self, kind: str) -> None:
        async def talk(wire: Wire) -> None:
            number = next(self._numbers)
            half = len(UPLOAD) // 2
            async with asyncio.timeout(TIMEOUT):
                wire.ask("POST", f"/upload/{number}", f"Content-Length: {len(UPLOAD)}", body=UPLOAD[:half])
                await asyncio.sleep(0.3)
                wire.send(UPLOAD[half:])
                await wire.answer(b"%d %d %d" % (number, len(UPLOAD), zlib.crc32(UPLOAD)))
            self._answered(kind, number)

        await self._on_one_connection(kind, talk)

    async def _chunked_upload(self, kind: str) -> None:
        async def talk(wire: Wire) -> None:
            number = next(self._numbers)
            async with asyncio.timeout(TIMEOUT):
                wire.ask("POST", f"/upload/{number}", "Transfer-Encoding: chunked")
                for _ in range(10):
                    await asyncio.sleep(0.04)
                    wire.send(b"%x\r\n%b\r\n" % (len(PIECE), PIECE))
                wire.send(b"0\r\n\r\n")
                await wire.answer(b"%d %d %d" % (number, 10 * len(PIECE), zlib.crc32(PIECE * 10)))
            self._answered(kind, number)

        await self._on_one_connection(kind, talk)

    async def _websocket(self, kind: str) -> None:
        async def talk(wire: Wire) -> None:
            key = base64.b64encode(os.urandom(16)).decode()
            async with asyncio.timeout(TIMEOUT):
                wire.ask("GET", "/", "Upgrade: websocket", "Connection: Upgrade", f"Sec-WebSocket-Key: {key}", "Sec-WebSocket-Version: 13")
                status, _ = await wire.head()
                if status != 101:
                    raise LostError(f"status {status}")
                for number in range(MESSAGES):
                    text = b"message %d" % number
                    wire.send_text(text)
                    opcode, data = await wire.frame()
                    if opcode == 8:
                        self._gone_away(wire, data)
                        return
                    if (opcode, data) != (1, text):
                        raise LostError(f"frame {opcode}: {data!r}")
                    self.tally.answered[kind] += 1
                    await asyncio.sleep(0.03)

        await self._on_one_connection(kind, talk)

    def _gone_away(self, wire: Wire, data: bytes) -> None:
        (code,) = struct.unpack_from("!H", data)
        if code not in GOING_AWAY:
            raise LostError(f"the websocket was closed with {code}")
        wire.send(struct.pack("!BB", 0x88, 0x80 | 2) + bytes(4) + data[:2])
        self.tally.again["websocket"] += 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("port", type=int)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--ca", metavar="FILE", help="connect with TLS, and trust this certificate")
    parser.add_argument("--scale", type=int, default=1, help="times as many clients")
    parser.add_argument("--enough", type=int, default=0, metavar="N", help="write a line once so many were answered")
    arguments = parser.parse_args()
    tls = ssl.create_default_context(cafile=arguments.ca) if arguments.ca else None

    async def traffic() -> Tally:
        clients = Traffic(arguments.host, arguments.port, tls=tls, scale=arguments.scale, enough=arguments.enough)
        await clients.run()
        return clients.tally

    tally = asyncio.run(traffic())
    print(json.dumps({"answered": tally.answered, "again": tally.again, "lost": tally.lost, "numbers": tally.numbers}))


if __name__ == "__main__":
    main()
