"""Websocket messages there and back: many connections, one message under way on each, CPU time a message over the server's processes."""

from __future__ import annotations

import argparse
import asyncio
import os
import time
from typing import Final

from benchmarks import procfs
from benchmarks.results import Result, Row, note, summary, table
from benchmarks.running import MeasurementError, running
from benchmarks.servers import SERVERS, TAMAGO, Server, chosen
from benchmarks.throughput import answered

CONTENDERS: Final = (TAMAGO, "uvicorn", "granian")
_HANDSHAKE = (
    b"GET /echo HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


def frame(text: bytes) -> bytes:
    """Return a masked text frame of less than 64 KiB (RFC 6455, 5.2)."""
    mask = os.urandom(4)
    masked = bytes(byte ^ mask[index % 4] for index, byte in enumerate(text))
    length = bytes([0x80 | len(text)]) if len(text) < 126 else b"\xfe" + len(text).to_bytes(2, "big")
    return b"\x81" + length + mask + masked


class Client(asyncio.Protocol):
    """Sends the next message when the last one is back."""

    def __init__(self, size: int) -> None:
        self._frame = frame(b"x" * size)
        self._answer = size + (2 if size < 126 else 4)
        self._received = 0
        self.count = 0
        self.failed = False
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._head = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        transport.write(_HANDSHAKE)  # type: ignore[attr-defined]

    def data_received(self, data: bytes) -> None:
        if not self.opened.done():
            self._head += data
            if b"\r\n\r\n" in self._head:
                if not self._head.startswith(b"HTTP/1.1 101"):
                    self.opened.set_exception(MeasurementError(f"no websocket: {self._head[:60]!r}"))
                    return
                self.opened.set_result(None)
                self.transport.write(self._frame)  # type: ignore[attr-defined]
            return
        self._received += len(data)
        while self._received >= self._answer:
            self._received -= self._answer
            self.count += 1
            self.transport.write(self._frame)  # type: ignore[attr-defined]

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self.failed = True


async def measure(server: Server, size: int, arguments: argparse.Namespace) -> Row:
    async with running(server, app="plain:app", workers=arguments.workers, grace=5.0) as run:
        await answered(run)
        loop = asyncio.get_running_loop()
        clients = [(await loop.create_connection(lambda: Client(size), "127.0.0.1", run.port))[1] for _ in range(arguments.connections)]
        await asyncio.gather(*(client.opened for client in clients))
        await asyncio.sleep(0.5)  # warm up
        family = run.tree()
        cpu, began, count = procfs.cpu_seconds(family), time.monotonic(), sum(client.count for client in clients)
        await asyncio.sleep(arguments.seconds)
        cpu, seconds = procfs.cpu_seconds(family) - cpu, time.monotonic() - began
        count = sum(client.count for client in clients) - count
        failed = sum(client.failed for client in clients)
        for client in clients:
            client.transport.abort()  # type: ignore[attr-defined]
    if not count:
        raise MeasurementError("no message came back")
    return {"rate": count / seconds, "cpu": 1e6 * cpu / count, "failed": failed}


def run(arguments: argparse.Namespace) -> Result:
    notes: list[str] = []
    rows = []
    for size in arguments.sizes:
        for server in chosen(arguments.servers, (SERVERS[name] for name in CONTENDERS)):
            try:
                taken = [asyncio.run(measure(server, size, arguments)) for _ in range(arguments.repeat)]
            except MeasurementError as error:
                note(notes, f"{server.name}, {size} bytes", error)
                continue
            row: Row = {"server": server.name, "size": size, "failed": sum(sample["failed"] for sample in taken)}
            row |= {key: summary(sample[key] for sample in taken) for key in ("rate", "cpu")}
            rows.append(row)
            print(f"{server.name}, {size} bytes: {row['rate']['median']:.0f}/s, {row['cpu']['median']:.1f} µs", flush=True)
    settings = {key: getattr(arguments, key) for key in ("workers", "connections", "seconds", "repeat")}
    return Result(name="websocket", rows=rows, notes=notes, settings=settings)


def render(result: Result) -> str:
    rows = [[row["size"], row["server"], row["cpu"]["median"], row["rate"]["median"], row["failed"]] for row in result.rows]
    return table(rows, ["bytes", "server", "CPU a message (µs)", "messages/s", "failed"])


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--sizes", type=int, nargs="+", default=[64, 1024])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--seconds", type=int, default=4)
    parser.add_argument("--repeat", type=int, default=3)
