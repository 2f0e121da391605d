"""Stopping without losing a request."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest
from tests.web.apps import TEXT, Gate, hello, no_lifespan, path
from tests.web.conftest import Run
from tests.web.edge import Client, CountingMeter, context, listen, request, serving, until

from tamago.server.asgi import Receive, Scope, Send
from tamago.server.worker import AsgiWorker
from tamago.types import ServerOptions


def test_what_is_in_flight_is_finished_with_connection_close(run: Run) -> None:
    async def main() -> None:
        gate = Gate()
        async with serving(gate) as served:
            client = await served.connect()
            await client.send(request("GET", "/slow"))
            await gate.entered.wait()
            draining = asyncio.create_task(served.edge.drain(closing=False))
            await asyncio.wait([draining], timeout=0.05)
            assert not draining.done()
            gate.opened.set()
            reply = await client.reply()
            assert (reply.body, reply["connection"]) == (b"/slow", "close")
            assert await client.rest() == b""
            await draining

    run(main())


def test_a_request_that_comes_within_the_linger_is_answered(run: Run) -> None:
    async def main() -> None:
        async with serving(hello, linger=5.0) as served:
            kept, fresh = await served.connect(), await served.connect()
            await kept.get()
            await fresh.send(b"GET / HT")  # accepted, and has not said anything whole yet
            await until(lambda: len(served.edge.server.connections) == 2)
            draining = asyncio.create_task(served.edge.drain(closing=False))
            await asyncio.sleep(0)
            reply = await kept.get()
            assert (reply.status, reply["connection"]) == (200, "close")
            assert await kept.rest() == b""
            await fresh.send(b"TP/1.1\r\nHost: x\r\n\r\n")
            reply = await fresh.reply()
            assert (reply.status, reply["connection"]) == (200, "close")
            await draining

    run(main())


def test_what_a_client_sends_after_the_last_answer_does_not_cost_it_that_answer(run: Run) -> None:
    async def main() -> None:
        gate = Gate()
        async with serving(gate, linger=5.0) as served:
            loop = asyncio.get_running_loop()
            with socket.socket() as client:
                client.setblocking(False)
                await loop.sock_connect(client, served.address)
                await loop.sock_sendall(client, request("GET", "/a"))
                await gate.entered.wait()
                draining = asyncio.create_task(served.edge.drain(closing=False))
                gate.opened.set()
                await until(lambda: not served.meter.in_flight)
                for _ in range(10):
                    await asyncio.sleep(0)  # a server that closes at once has done so
                for _ in range(3):
                    # To a closed socket the second one would fail: the answer to the first is a reset.
                    await loop.sock_sendall(client, request("GET", "/b"))
                answer = b""
                while piece := await loop.sock_recv(client, 65536):
                    answer += piece
                assert answer.startswith(b"HTTP/1.1 200 OK")
                assert answer.endswith(b"\r\n\r\n/a")
            await draining
        assert [scope["path"] for scope in gate.scopes] == ["/a"]

    run(main())


def test_a_client_that_does_not_close_holds_a_drain_up_no_longer_than_the_linger(run: Run) -> None:
    async def main() -> None:
        async with serving(hello, linger=0.05) as served:
            client = await served.connect()
            await client.get()
            draining = asyncio.create_task(served.edge.drain(closing=False))
            await asyncio.sleep(0)
            assert (await client.get())["connection"] == "close"
            await draining  # and it is still open on this side

    run(main())


def test_idle_connections_are_closed_after_the_linger(run: Run) -> None:
    async def main() -> None:
        async with serving(hello, linger=0.05) as served:
            kept, silent = await served.connect(), await served.connect()
            await kept.get()
            loop = asyncio.get_running_loop()
            started = loop.time()
            await served.edge.drain(closing=False)
            assert loop.time() - started >= 0.04
            assert (await kept.rest(), await silent.rest()) == (b"", b"")

    run(main())


def test_after_an_answer_begun_before_the_drain_the_connection_lingers(run: Run) -> None:
    async def main() -> None:
        opened = asyncio.Event()

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await no_lifespan(scope)
            await send({"type": "http.response.start", "status": 200, "headers": TEXT})
            await send({"type": "http.response.body", "body": b"a", "more_body": True})
            if scope["path"] == "/stream":
                await opened.wait()
            await send({"type": "http.response.body", "body": b"b"})

        async with serving(app, linger=0.2) as served:
            client = await served.connect()
            await client.send(request("GET", "/stream"))
            head = await client.reader.readuntil(b"\r\n\r\n")
            assert b"connection" not in head
            draining = asyncio.create_task(served.edge.drain(closing=False))
            await asyncio.wait([draining], timeout=0.3)
            opened.set()
            assert [chunk async for chunk in client.chunks()] == [b"a", b"b"]
            # It was not told that the connection ends, so it may ask again.
            reply = await client.get("/again")
            assert (reply.body, reply["connection"]) == (b"ab", "close")
            await draining

    run(main())


def test_a_background_task_is_waited_for_after_its_connection_is_gone(run: Run) -> None:
    async def main() -> None:
        opened = asyncio.Event()
        finished: list[bool] = []

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await hello(scope, receive, send)
            await opened.wait()
            finished.append(True)

        async with serving(app) as served:
            client = await served.connect()
            await client.get()
            await client.close()
            draining = asyncio.create_task(served.edge.drain(closing=False))
            await asyncio.wait([draining], timeout=0.1)
            assert not draining.done()
            opened.set()
            await draining
            assert finished == [True]

    run(main())


def test_closing_takes_what_waits_in_the_accept_queue_and_refuses_the_rest(run: Run) -> None:
    async def main() -> None:
        listener = listen()
        address = listener.getsockname()
        meter = CountingMeter()
        worker = AsgiWorker(hello, context(ServerOptions(linger=0.1), meter, accept_pause=lambda: 60.0))
        await worker.start()
        await worker.serve([listener])
        waiting = [Client(*await asyncio.open_connection(*address)) for _ in range(10)]
        for client in waiting:
            await client.send(request("GET", "/"))
        draining = asyncio.create_task(worker.drain(closing=True))
        replies = [await client.reply() for client in waiting]
        assert {(reply.status, reply["connection"]) for reply in replies} == {(200, "close")}
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(*address)
        await draining
        await worker.stop()
        for client in waiting:
            await client.close()
        assert (meter.requests, meter.connections) == (10, 0)

    run(main())


def test_not_closing_leaves_the_accept_queue_to_others(run: Run) -> None:
    async def main() -> None:
        listener = listen()
        address = listener.getsockname()
        others = listener.dup()
        worker = AsgiWorker(hello, context())
        await worker.start()
        await worker.serve([listener])
        await worker.drain(closing=False)
        client = Client(*await asyncio.open_connection(*address))
        await client.send(request("GET", "/"))
        meter = CountingMeter()
        neighbour = AsgiWorker(hello, context(ServerOptions(linger=0.01), meter))
        await neighbour.start()
        await neighbour.serve([others])
        assert (await client.reply()).status == 200
        await client.close()
        await neighbour.drain(closing=True)

    run(main())


class Load:
    """Clients that keep asking; every second one keeps its connection as long as it is allowed to."""

    def __init__(self, address: Any) -> None:
        self.address = address
        self.answers = 0
        self.failures: list[str] = []
        self.stopping = False

    async def reaches(self, answers: int) -> None:
        await until(lambda: self.answers >= answers)

    async def ask(self, *, keep: bool) -> None:
        client: Client | None = None
        while not self.stopping:
            try:
                client = client or Client(*await asyncio.open_connection(*self.address))
                client = await self.ask_once(client, keep=keep)
            except (OSError, asyncio.IncompleteReadError) as error:
                self.failures.append(repr(error))
                client = None
        if client is not None:
            await client.close()

    async def ask_once(self, client: Client, *, keep: bool) -> Client | None:
        reply = await client.get("/asked")
        self.answers += 1
        if (reply.status, reply.body) != (200, b"/asked"):
            self.failures.append(f"{reply.status} {reply.body!r}")
        if keep and reply["connection"] != "close":
            return client
        await client.close()
        return None


def test_swapping_workers_under_load_loses_nothing(run: Run) -> None:
    """Ten workers replace each other on one listener while clients keep asking, on kept and on new connections."""

    async def main() -> None:
        listener = listen()
        load = Load(listener.getsockname())

        async def worker() -> AsgiWorker:
            runtime = AsgiWorker(path, context(ServerOptions(linger=0.05)))
            await runtime.start()
            await runtime.serve([listener.dup()])
            return runtime

        current = await worker()
        clients = [asyncio.create_task(load.ask(keep=n % 2 == 0)) for n in range(16)]
        for target in range(0, 500, 50):
            await load.reaches(target)
            successor = await worker()
            await current.drain(closing=False)
            await current.stop()
            current = successor
        load.stopping = True
        await asyncio.gather(*clients)
        await current.drain(closing=True)
        listener.close()
        assert load.failures == []
        assert load.answers >= 450

    run(main())


def test_no_answer_is_truncated_when_its_client_reads_slowly(run: Run) -> None:
    async def main() -> None:
        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await no_lifespan(scope)
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"20000000")]})
            await send({"type": "http.response.body", "body": b"x" * 20_000_000})

        async with serving(app) as served:
            client = await served.connect()
            client.writer.transport.pause_reading()  # type: ignore[attr-defined]
            await client.send(request("GET", "/"))
            await until(lambda: served.meter.requests and not served.meter.in_flight)
            draining = asyncio.create_task(served.edge.drain(closing=False))
            await asyncio.wait([draining], timeout=0.1)
            assert not draining.done()
            client.writer.transport.resume_reading()  # type: ignore[attr-defined]
            assert len((await client.reply()).body) == 20_000_000
            await draining

    run(main())
