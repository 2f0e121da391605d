"""The edge under test: an application served in this process on a real socket, and a client that sees every byte."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tamago.server.asgi import AsgiApp
from tamago.server.edge import Edge
from tamago.server.worker import AsgiWorker
from tamago.types import Identity, Role, ServerOptions, WorkerContext, WorkerRuntime

CRLF = b"\r\n"


class CountingMeter:
    """Implements `tamago.types.Meter`."""

    def __init__(self) -> None:
        self.request_counts = memoryview(bytearray(16)).cast("q")
        self.connections = 0
        self.busy: list[bool] = []

    @property
    def requests(self) -> int:
        return self.request_counts[0]

    @property
    def in_flight(self) -> int:
        return self.request_counts[0] - self.request_counts[1]

    def connection_opened(self) -> None:
        self.connections += 1

    def connection_closed(self) -> None:
        self.connections -= 1

    def threads_all_busy(self, busy: bool) -> None:
        self.busy.append(busy)


@dataclass(kw_only=True)
class Reply:
    """One answer as it came over the wire."""

    status: int
    fields: list[tuple[str, str]]
    body: bytes
    head: bytes

    def __getitem__(self, name: str) -> str:
        return ", ".join(value for key, value in self.fields if key == name)

    def __contains__(self, name: str) -> bool:
        return any(key == name for key, _ in self.fields)


class Client:
    """A raw client. Reads answers without any leniency."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, *pieces: bytes) -> None:
        self.writer.write(b"".join(pieces))
        await self.writer.drain()

    async def get(self, path: str = "/", *fields: str) -> Reply:
        await self.send(request("GET", path, *fields))
        return await self.reply()

    async def reply(self, *, bodiless: bool = False) -> Reply:
        head = await self.reader.readuntil(CRLF + CRLF)
        start, *lines = head[:-4].decode().split("\r\n")
        fields = [(name.lower(), value) for name, _, value in (line.partition(": ") for line in lines)]
        reply = Reply(status=int(start.split(" ")[1]), fields=fields, body=b"", head=head)
        if reply.status < 200 or bodiless or reply.status in {204, 304}:
            return reply
        if reply["transfer-encoding"] == "chunked":
            reply.body = b"".join([chunk async for chunk in self.chunks()])
        elif "content-length" in reply:
            reply.body = await self.reader.readexactly(int(reply["content-length"]))
        else:
            reply.body = await self.reader.read()
        return reply

    async def chunks(self) -> AsyncIterator[bytes]:
        while True:
            size = int((await self.reader.readuntil(CRLF))[:-2], 16)
            data = await self.reader.readexactly(size + 2)
            assert data[-2:] == CRLF
            if not size:
                return
            yield data[:-2]

    async def rest(self) -> bytes:
        """Everything up to the end of the connection."""
        return await self.reader.read()

    async def reset(self) -> bool:
        """Say whether the connection ended with a reset."""
        try:
            await self.reader.read()
        except ConnectionResetError:
            return True
        return False

    def abort(self) -> None:
        """Leave without a goodbye."""
        self.writer.transport.abort()

    async def close(self) -> None:
        self.writer.close()
        with contextlib.suppress(OSError):
            await self.writer.wait_closed()


@dataclass(kw_only=True)
class Served:
    """A served application."""

    edge: Edge
    meter: CountingMeter
    address: Any
    listener: socket.socket
    clients: list[Client] = field(default_factory=list)

    async def connect(self, tls: ssl.SSLContext | None = None, name: str = "shop.example") -> Client:
        secure: dict[str, Any] = {} if tls is None else {"ssl": tls, "server_hostname": name}
        if isinstance(self.address, str):
            reader, writer = await asyncio.open_unix_connection(self.address, **secure)
        else:
            reader, writer = await asyncio.open_connection(*self.address[:2], **secure)
        client = Client(reader, writer)
        self.clients.append(client)
        return client

    async def get(self, path: str = "/", *fields: str) -> Reply:
        return await (await self.connect()).get(path, *fields)

    @property
    def url(self) -> str:
        return f"http://{self.address[0]}:{self.address[1]}"


async def until(claim: Callable[[], object]) -> None:
    """Return once `claim` holds; for what nothing else in the loop announces."""
    while not claim():  # noqa: ASYNC110 - gives the loop a turn, and waits for no time
        await asyncio.sleep(0)


def request(method: str, path: str, *fields: str, body: bytes = b"") -> bytes:
    """Return the bytes of a request; content-length is added when there is a body."""
    lines = [f"{method} {path} HTTP/1.1", "Host: test", *fields]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode() + CRLF + CRLF + body


def context(options: ServerOptions | None = None, meter: CountingMeter | None = None, **kwargs: Any) -> WorkerContext:
    """Return what a cluster would give a worker."""
    return WorkerContext(
        identity=Identity(role=Role.WORKER, slot=1, generation=1, title="test", pid=1),
        options=options or ServerOptions(),
        meter=meter or CountingMeter(),
        accept_pause=kwargs.pop("accept_pause", lambda: 0.0),
        tls=kwargs.pop("tls", ()),
    )


def listen(path: Path | None = None) -> socket.socket:
    """Return a listener as the master would bind it."""
    if path is None:
        listener = socket.create_server(("127.0.0.1", 0), backlog=128)
    else:
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(path))
        listener.listen(128)
    listener.setblocking(False)
    return listener


@contextlib.asynccontextmanager
async def running(runtime: WorkerRuntime, meter: CountingMeter, listener: socket.socket | None = None) -> AsyncIterator[Served]:
    """Run a worker's whole life around the block."""
    listener = listener or listen()
    address = listener.getsockname()
    await runtime.start()
    await runtime.serve([listener])
    edge: Edge = runtime._edge  # type: ignore[attr-defined]
    served = Served(edge=edge, meter=meter, address=address, listener=listener)
    try:
        yield served
    except BaseException:  # a test that failed is not worth a drain that may never end; and uvloop closes no loop with such connections
        for connection in list(edge.server.connections):
            connection.transport.abort()
        raise
    for client in served.clients:
        await client.close()
    await runtime.drain(closing=False)
    await runtime.stop()
    assert (meter.in_flight, meter.connections) == (0, 0)


@contextlib.asynccontextmanager
async def serving(
    app: AsgiApp,
    *,
    path: Path | None = None,
    accept_pause: Callable[[], float] = lambda: 0.0,
    tls: ssl.SSLContext | None = None,
    **options: Any,
) -> AsyncIterator[Served]:
    """Serve an ASGI application around the block; options are those of ServerOptions."""
    meter = CountingMeter()
    settings = ServerOptions(**{"linger": 0.02, **options})
    worker = AsgiWorker(app, context(settings, meter, accept_pause=accept_pause, tls=[tls]))
    async with running(worker, meter, listen(path)) as served:
        yield served
