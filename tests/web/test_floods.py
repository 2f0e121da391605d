"""More connections than there is room for: descriptors run out, the accept queue runs over, hundreds stand idle."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import resource
import socket
import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest
from tests.web.apps import hello, no_lifespan
from tests.web.conftest import Run
from tests.web.edge import Client, CountingMeter, context, request, running, serving, until
from tests.web.frames import CLOSE, FIN, HANDSHAKE, PING, PONG, frame

from tamago.server.asgi import Receive, Scope, Send
from tamago.server.worker import AsgiWorker
from tamago.types import ServerOptions

PING_FRAME = frame(FIN | PING, b"tamago", mask=None)
CLOSE_1012 = frame(FIN | CLOSE, (1012).to_bytes(2, "big"), mask=None)


@contextlib.contextmanager
def only_so_many_descriptors(more: int) -> Iterator[None]:
    """Let this process open `more` than it has open now."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # The one that reads the list is in it, and is not there any more.
    taken = {int(name) for name in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{name}")}
    # The limit is on numbers, so fill the gaps below the highest.
    fillers = [os.open(os.devnull, os.O_RDONLY) for number in range(max(taken)) if number not in taken]
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(taken) + 1 + more, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for filler in fillers:
            os.close(filler)


@contextlib.contextmanager
def room_for_descriptors(number: int) -> Iterator[None]:
    """Let this process have so many; a shell's limit is often 1,024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, number), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_flood_that_takes_all_descriptors_waits_for_its_turn(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        meter = CountingMeter()
        listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        listener.setblocking(False)
        sockets = [socket.create_connection(listener.getsockname()) for _ in range(10)]
        with only_so_many_descriptors(3):
            async with running(AsgiWorker(hello, context(ServerOptions(linger=0.02), meter)), meter, listener) as served:
                await until(lambda: "cannot accept connections for now: Too many open files" in caplog.text)
                assert meter.connections <= 3
                for sock in sockets:
                    # Each that is answered leaves, and its place is somebody else's.
                    client = Client(*await asyncio.open_connection(sock=sock))
                    assert (await client.get("/", "Connection: close")).status == 200
                    await client.close()
                assert (await served.get()).status == 200
        assert len([record for record in caplog.records if "cannot accept" in record.message]) == 1

    run(main())


@pytest.mark.slow
def test_a_burst_that_overflows_the_accept_queue_is_served(run: Run) -> None:
    async def main() -> None:
        meter = CountingMeter()
        listener = socket.create_server(("127.0.0.1", 0), backlog=4)
        listener.setblocking(False)
        loop = asyncio.get_running_loop()
        sockets = [socket.socket() for _ in range(12)]
        for sock in sockets:
            sock.setblocking(False)
        connecting = [loop.create_task(loop.sock_connect(sock, listener.getsockname())) for sock in sockets]
        # Nobody accepts yet: five find room, the kernel drops the others' first packet, and they try again after a second.
        await asyncio.wait(connecting, return_when=asyncio.FIRST_COMPLETED)
        assert not all(task.done() for task in connecting)
        async with running(AsgiWorker(hello, context(ServerOptions(linger=0.02), meter)), meter, listener):
            for task, sock in zip(connecting, sockets, strict=True):
                await task
                client = Client(*await asyncio.open_connection(sock=sock))
                assert (await client.get()).status == 200
                await client.close()
        assert meter.requests == len(sockets)

    run(main())


@pytest.mark.slow
def test_hundreds_of_idle_connections_harm_nobody(run: Run) -> None:
    async def main() -> None:
        async with serving(hello) as served:
            fresh: list[Any] = [await asyncio.open_connection(*served.address) for _ in range(150)]
            used = [await served.connect() for _ in range(150)]
            for client in used:
                assert (await client.get()).status == 200
            await until(lambda: served.meter.connections == 300)
            assert (await served.get()).status == 200
            for _, writer in fresh:
                writer.close()
            await until(lambda: served.meter.connections <= 151)
            for client in used:
                assert (await client.get()).status == 200

    run(main())


@pytest.mark.slow
def test_a_thousand_slow_heads_harm_nobody_and_end(run: Run) -> None:
    async def main() -> None:
        # A short keep-alive has the clock looked at often; what ends the heads is that their time is set to be over.
        with room_for_descriptors(3000):
            await flood()

    async def flood() -> None:
        async with serving(hello, header_timeout=100.0, keep_alive=0.1) as served:
            slow = [await served.connect() for _ in range(1000)]
            for client in slow:
                await client.send(b"GET / HTTP/1.1\r\nHost: x\r\nX-")
            assert (await served.get()).status == 200
            await until(lambda: sum(bool(connection._target) for connection in served.edge.server.connections) == len(slow))
            assert served.meter.requests == 1, "none of them has cost the application anything"
            for connection in served.edge.server.connections:
                connection.deadline = 0.0
            for client in slow:
                assert (await client.reply()).status == 408
                assert await client.rest() == b""
            assert (await served.get()).status == 200

    run(main())


async def _listening(scope: Scope, receive: Receive, send: Send) -> None:
    await no_lifespan(scope)
    await receive()
    await send({"type": "websocket.accept"})
    while (await receive())["type"] != "websocket.disconnect":
        pass


@pytest.mark.slow
def test_hundreds_of_idle_websockets_take_little_each_and_are_all_told_of_a_drain(run: Run) -> None:
    count, most = 300, 12 * 1024  # bytes of Python's own memory, the client's part included; 9.7 KiB were seen

    async def main() -> None:
        loop = asyncio.get_running_loop()

        async def read_until(sock: socket.socket, what: bytes) -> None:
            data = b""
            while what not in data:
                data += (piece := await loop.sock_recv(sock, 65536))
                assert piece, data

        # A short keep-alive has the clock looked at often, so that pings are on time.
        async with serving(_listening, keep_alive=0.1, ws_ping_interval=0.2, ws_ping_timeout=0.0) as served:
            with contextlib.ExitStack() as stack:
                sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
                stack.callback(tracemalloc.stop)
                tracemalloc.start()
                for sock in sockets:
                    sock.setblocking(False)
                    await loop.sock_connect(sock, served.address)
                    await loop.sock_sendall(sock, request("GET", "/", *HANDSHAKE))
                    await read_until(sock, b"\r\n\r\n")
                for sock in sockets:
                    await read_until(sock, PING_FRAME)
                    await loop.sock_sendall(sock, frame(FIN | PONG, b"tamago"))
                assert served.meter.connections == count
                gc.collect()
                assert tracemalloc.get_traced_memory()[0] / count < most
                draining = asyncio.create_task(served.edge.drain(closing=False))
                for sock in sockets:
                    await read_until(sock, CLOSE_1012)
                    await loop.sock_sendall(sock, frame(FIN | CLOSE, CLOSE_1012[2:]))
                await draining

    run(main())


def test_a_request_with_ten_thousand_headers_is_431(run: Run) -> None:
    async def main() -> None:
        async with serving(hello) as served:
            client = await served.connect()
            sending = asyncio.create_task(client.send(request("GET", "/", *(f"X-{n}: {n}" for n in range(10_000)))))
            assert (await client.reply()).status == 431
            with contextlib.suppress(ConnectionError):
                await sending
            assert served.meter.requests == 0

    run(main())
