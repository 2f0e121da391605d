"""Clients that leave: who hears of it, when, and how."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from tests.web.apps import TEXT, Gate, answer, no_lifespan
from tests.web.conftest import Run
from tests.web.edge import request, serving, until

from tamago.server.asgi import Receive, Scope, Send


async def send_for_ever(send: Send) -> None:
    while True:
        await send({"type": "http.response.body", "body": b"x" * 100_000, "more_body": True})


def test_receive_after_the_request_waits_for_the_disconnect(run: Run) -> None:
    async def main() -> None:
        messages: list[str] = []
        entered, ended = asyncio.Event(), asyncio.Event()

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await no_lifespan(scope)
            messages.append((await receive())["type"])
            entered.set()
            messages.append((await receive())["type"])
            messages.append((await receive())["type"])
            ended.set()

        async with serving(app) as served:
            client = await served.connect()
            await client.send(request("GET", "/"))
            await entered.wait()
            client.abort()
            await ended.wait()
            assert messages == ["http.request", "http.disconnect", "http.disconnect"]

    run(main())


def test_two_may_wait_for_the_disconnect_at_once(run: Run) -> None:
    async def main() -> None:
        entered, ended = asyncio.Event(), asyncio.Event()

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await no_lifespan(scope)
            await receive()
            entered.set()
            assert [message["type"] for message in await asyncio.gather(receive(), receive())] == ["http.disconnect"] * 2
            ended.set()

        async with serving(app) as served:
            client = await served.connect()
            await client.send(request("GET", "/"))
            await entered.wait()
            client.abort()
            await ended.wait()

    run(main())


def test_a_disconnect_in_the_middle_of_an_upload_is_seen(run: Run) -> None:
    async def main() -> None:
        messages: list[str] = []
        entered, ended = asyncio.Event(), asyncio.Event()

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await no_lifespan(scope)
            while not messages or messages[-1] == "http.request":
                messages.append((await receive())["type"])
                entered.set()
            ended.set()

        async with serving(app) as served:
            client = await served.connect()
            await client.send(request("POST", "/", body=b"x" * 10)[:-5])
            await entered.wait()
            await client.close()
            await ended.wait()
            assert messages[-1] == "http.disconnect"

    run(main())


def test_a_writer_held_back_is_freed_when_its_client_leaves(run: Run) -> None:
    async def main() -> None:
        ended = asyncio.Event()

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await no_lifespan(scope)
            await send({"type": "http.response.start", "status": 200, "headers": TEXT})
            with pytest.raises(OSError, match="the client left"):
                await send_for_ever(send)
            ended.set()

        async with serving(app) as served:
            client = await served.connect()
            client.writer.transport.pause_reading()  # type: ignore[attr-defined]
            await client.send(request("GET", "/"))
            await until(lambda: any(connection.write_paused for connection in served.edge.server.connections))
            client.abort()
            await ended.wait()

    run(main())


def test_a_client_that_closed_its_half_gets_its_answer(run: Run) -> None:
    async def main() -> None:
        gate = Gate()
        async with serving(gate) as served:
            client = await served.connect()
            await client.send(request("GET", "/1"), request("GET", "/2"))
            client.writer.write_eof()
            await gate.entered.wait()
            gate.opened.set()
            assert [(await client.reply()).body for _ in range(2)] == [b"/1", b"/2"]
            assert await client.rest() == b""

    run(main())


def test_what_is_sent_to_a_client_that_left_is_thrown_away_at_first(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    """An answer that was on its way is no error, nor is what comes after it."""

    async def main() -> None:
        entered, ended = asyncio.Event(), asyncio.Event()

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await no_lifespan(scope)
            await receive()
            entered.set()
            await receive()
            await send({"type": "http.response.start", "status": 200, "headers": TEXT})
            await send({"type": "http.response.body", "body": b"x" * 100_000, "more_body": True})
            await send({"type": "http.response.body", "body": b"x" * 100_000})
            ended.set()

        async with serving(app) as served:
            client = await served.connect()
            await client.send(request("GET", "/"))
            await entered.wait()
            client.abort()
            await ended.wait()
        assert caplog.records == []

    run(main())


@pytest.mark.parametrize("goodbye", ["abort", "close"])
def test_an_endless_stream_that_never_listens_gets_an_error(run: Run, caplog: pytest.LogCaptureFixture, goodbye: str) -> None:
    """It may let the error through: that is no failure of the application's."""

    async def main() -> None:
        errors: list[BaseException] = []
        ended = asyncio.Event()

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await no_lifespan(scope)
            await send({"type": "http.response.start", "status": 200, "headers": TEXT})
            try:
                while True:
                    await send({"type": "http.response.body", "body": b"x", "more_body": True})
                    await asyncio.sleep(0)
            except BaseException as error:
                errors.append(error)
                raise
            finally:
                ended.set()

        async with serving(app) as served:
            client = await served.connect()
            await client.send(request("GET", "/"))
            await client.reader.readuntil(b"\r\nx\r\n")
            client.abort() if goodbye == "abort" else await client.close()
            await ended.wait()
        assert isinstance(errors[0], OSError)
        assert caplog.records == []

    run(main())


@pytest.mark.parametrize("goodbye", ["abort", "close"])
@pytest.mark.parametrize("begun", [False, True])
def test_the_handler_is_cancelled_if_one_asks_for_it(run: Run, caplog: pytest.LogCaptureFixture, goodbye: str, *, begun: bool) -> None:
    async def main() -> None:
        entered, cancelled = asyncio.Event(), asyncio.Event()

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await no_lifespan(scope)
            if begun:
                await send({"type": "http.response.start", "status": 200, "headers": TEXT})
                await send({"type": "http.response.body", "body": b"x", "more_body": True})
            entered.set()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                cancelled.set()
                raise

        async with serving(app, cancel_on_disconnect=True) as served:
            client = await served.connect()
            await client.send(request("GET", "/"))
            await entered.wait()
            client.abort() if goodbye == "abort" else await client.close()
            await cancelled.wait()
        assert caplog.records == []

    run(main())


def test_the_handler_is_not_cancelled_by_default_nor_after_its_answer(run: Run) -> None:
    async def main() -> None:
        entered, opened, ended = asyncio.Event(), asyncio.Event(), asyncio.Event()

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await no_lifespan(scope)
            if scope["path"] == "/answered":
                await answer(send)
            entered.set()
            await opened.wait()
            ended.set()

        for path, setting in (("/", False), ("/answered", True)):
            for event in (entered, opened, ended):
                event.clear()
            async with serving(app, cancel_on_disconnect=setting) as served:
                client = await served.connect()
                await client.send(request("GET", path))
                await entered.wait()
                await client.close()
                await until(lambda: all(connection._eof for connection in served.edge.server.connections))
                opened.set()
                await ended.wait()

    run(main())


async def ask(receive: Receive) -> bool:
    """Look whether the client is still there, the way frameworks do: with a `receive` that is cancelled at once."""
    asking: asyncio.Task[Any] = asyncio.create_task(receive())  # type: ignore[arg-type]
    await asyncio.sleep(0)
    asking.cancel()
    return (await asyncio.gather(asking, return_exceptions=True))[0] == {"type": "http.disconnect"}


def test_asking_often_leaves_nothing_behind(run: Run) -> None:
    async def main() -> None:
        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await no_lifespan(scope)
            await receive()
            assert not any([await ask(receive) for _ in range(100)])
            (exchange,) = served.edge.server.running
            assert exchange._waiters is None
            await answer(send)

        async with serving(app) as served:
            assert (await served.get()).status == 200

    run(main())


def test_asking_does_not_start_the_clock_of_the_body(run: Run) -> None:
    async def main() -> None:
        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await no_lifespan(scope)
            assert not await ask(receive)
            (connection,) = served.edge.server.connections
            assert connection.deadline == float("inf")
            await answer(send)

        async with serving(app) as served:
            client = await served.connect()
            await client.send(request("POST", "/", body=b"abc")[:-3])
            assert (await client.reply()).status == 200

    run(main())


def test_who_leaves_before_the_request_begins_holds_up_no_drain(run: Run) -> None:
    async def main() -> None:
        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await no_lifespan(scope)
            await answer(send)

        async with serving(app, cancel_on_disconnect=True) as served:
            await served.connect()
            await until(lambda: served.edge.server.connections)
            (connection,) = served.edge.server.connections
            connection.data_received(request("GET", "/"))
            connection.eof_received()  # as it comes where both were read in one turn of the loop
            await until(lambda: not served.edge.server.running)
            await until(lambda: not served.edge.server.connections)
            assert (served.meter.requests, served.meter.in_flight) == (1, 0)

    run(main())
