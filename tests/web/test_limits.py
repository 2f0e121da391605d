"""What a client may not do: too long, too large, too slow, too many."""

from __future__ import annotations

import asyncio
import contextlib

import pytest
from tests.web.apps import TEXT, Gate, echo, hello, no_lifespan
from tests.web.conftest import Run
from tests.web.edge import Client, request, serving

from tamago.server.asgi import Receive, Scope, Send


async def refused(client: Client, status: int) -> None:
    """Assert that the answer is this refusal, the connection's last."""
    reply = await client.reply()
    assert (reply.status, reply["connection"]) == (status, "close")
    with contextlib.suppress(ConnectionResetError):
        assert await client.rest() == b""


@pytest.mark.parametrize("size", [101, 5_000, 100_000, 2_000_000])
def test_a_request_line_that_is_too_long_is_414(run: Run, size: int) -> None:
    async def main() -> None:
        async with serving(hello, limit_request_line=100) as served:
            client = await served.connect()
            sending = asyncio.create_task(client.send(request("GET", "/" + "x" * size)))
            await refused(client, 414)
            with contextlib.suppress(ConnectionError):
                await sending
            assert served.meter.requests == 0

    run(main())


@pytest.mark.parametrize("size", [1_001, 20_000, 100_000, 2_000_000])
def test_headers_that_are_too_large_are_431(run: Run, size: int) -> None:
    async def main() -> None:
        async with serving(hello, limit_header_bytes=1_000) as served:
            client = await served.connect()
            sending = asyncio.create_task(client.send(request("GET", "/", "X-Big: " + "x" * size)))
            await refused(client, 431)
            with contextlib.suppress(ConnectionError):
                await sending
            assert served.meter.requests == 0

    run(main())


def test_headers_below_the_limit_pass_however_they_are_cut(run: Run) -> None:
    async def main() -> None:
        async with serving(hello) as served:
            client = await served.connect()
            data = request("GET", "/" + "p" * 8_000, "X-Big: " + "x" * 55_000)
            for start in range(0, len(data), 10_000):
                await client.send(data[start : start + 10_000])
            assert (await client.reply()).status == 200

    run(main())


def test_too_many_headers_are_431(run: Run) -> None:
    async def main() -> None:
        async with serving(hello) as served:
            client = await served.connect()
            await client.send(request("GET", "/", *(f"X-{n}: 1" for n in range(100))))
            await refused(client, 431)
            assert (await served.get("/", *(f"X-{n}: 1" for n in range(99)))).status == 200

    run(main())


def test_an_announced_body_that_is_too_large_is_413_at_once(run: Run) -> None:
    async def main() -> None:
        async with serving(echo, limit_body=10) as served:
            client = await served.connect()
            await client.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 11\r\n\r\n")
            await refused(client, 413)
            assert served.meter.requests == 0

    run(main())


def test_a_chunked_body_that_grows_too_large_is_413(run: Run) -> None:
    async def main() -> None:
        async with serving(echo, limit_body=10) as served:
            client = await served.connect()
            await client.send(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n8\r\n12345678\r\n")
            await client.send(b"8\r\n12345678\r\n")
            await refused(client, 413)

    run(main())


def test_a_413_reaches_a_client_that_goes_on_sending(run: Run) -> None:
    async def main() -> None:
        async with serving(echo, limit_body=10) as served:
            client = await served.connect()
            sending = asyncio.create_task(client.send(request("POST", "/", body=b"x" * 300_000)))
            assert (await client.reply()).status == 413
            with contextlib.suppress(ConnectionError):
                await sending

    run(main())


def test_a_body_of_the_allowed_size_passes(run: Run) -> None:
    async def main() -> None:
        async with serving(echo, limit_body=10) as served:
            client = await served.connect()
            await client.send(request("POST", "/", body=b"x" * 10))
            assert (await client.reply()).body == b"x" * 10

    run(main())


@pytest.mark.parametrize("start", [b"GET /", b"GET / HTTP/1.1\r\nHost: x\r\n"])
def test_a_head_that_does_not_arrive_in_time_is_408(run: Run, start: bytes) -> None:
    async def main() -> None:
        async with serving(hello, header_timeout=0.05) as served:
            client = await served.connect()
            await client.send(start)
            await refused(client, 408)

    run(main())


@pytest.mark.parametrize("start", [b"", b"\r\n", b"GE"])
def test_where_no_request_has_begun_the_end_is_silent(run: Run, start: bytes) -> None:
    async def main() -> None:
        # A browser opens spare connections, some clients send a line break behind a body: an answer would only confuse them.
        async with serving(hello, header_timeout=0.05, keep_alive=0.05) as served:
            for before in (b"", request("GET", "/")):
                client = await served.connect()
                await client.send(before + start)
                if before:
                    await client.reply()
                assert await client.rest() == b""

    run(main())


def test_a_head_that_trickles_in_is_not_given_more_time(run: Run) -> None:
    async def main() -> None:
        async with serving(hello, header_timeout=0.1) as served:
            client = await served.connect()
            await client.get()
            reply = asyncio.create_task(client.reply())
            loop = asyncio.get_running_loop()
            started = loop.time()
            while not reply.done():
                await client.send(b"GET / HTTP/1.1\r\n" if loop.time() == started else b"X-A: b\r\n")
                await asyncio.wait([reply], timeout=0.01)
            assert reply.result().status in {400, 408}
            assert loop.time() - started < 2

    run(main())


def test_a_body_that_does_not_arrive_in_time_is_408(run: Run) -> None:
    async def main() -> None:
        outcome: list[str] = []

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await no_lifespan(scope)
            while (message := await receive())["type"] == "http.request":
                pass
            outcome.append(message["type"])
            await send({"type": "http.response.start", "status": 200, "headers": TEXT})
            await send({"type": "http.response.body", "body": b"too late"})

        async with serving(app, body_timeout=0.05) as served:
            client = await served.connect()
            await client.send(request("POST", "/", body=b"x" * 10)[:-5])
            await refused(client, 408)
        assert outcome == ["http.disconnect"]

    run(main())


def test_a_slow_application_is_no_body_timeout(run: Run) -> None:
    async def main() -> None:
        gate = Gate()
        async with serving(gate, body_timeout=0.02, header_timeout=0.02, keep_alive=0.02) as served:
            client = await served.connect()
            await client.send(request("POST", "/slow", body=b"x" * 10)[:-5])
            await gate.entered.wait()
            other = await served.connect()
            assert await other.rest() == b""  # timeouts are at work
            gate.opened.set()
            assert (await client.reply()).body == b"/slow"

    run(main())


def test_the_first_connection_after_a_quiet_time_gets_its_whole_time(run: Run) -> None:
    async def main() -> None:
        async with serving(hello) as served:
            served.edge.server.now -= 1_000  # nobody looks at the clock while there is no connection
            served.edge.server.date = b"date: long ago\r\n"
            client = await served.connect()
            assert "long ago" not in (await client.get())["date"]
            (connection,) = served.edge.server.connections
            assert connection.deadline > asyncio.get_running_loop().time()
            assert (await client.get()).status == 200

    run(main())


def test_an_idle_connection_is_closed_in_silence(run: Run) -> None:
    async def main() -> None:
        async with serving(hello, keep_alive=0.05) as served:
            client = await served.connect()
            await client.get()
            assert await client.rest() == b""

    run(main())


def test_more_requests_than_allowed_get_503_and_keep_their_connection(run: Run) -> None:
    async def main() -> None:
        gate = Gate()
        async with serving(gate, limit_in_flight=1) as served:
            first, second = await served.connect(), await served.connect()
            await first.send(request("GET", "/first"))
            await gate.entered.wait()
            for _ in range(2):
                reply = await second.get()
                assert (reply.status, reply["retry-after"]) == (503, "1")
            gate.opened.set()
            assert (await first.reply()).body == b"/first"
            assert (await second.get("/second")).body == b"/second"

    run(main())


def test_hundreds_of_refusals_in_a_row_are_no_recursion(run: Run) -> None:
    async def main() -> None:
        gate = Gate()
        async with serving(gate, limit_in_flight=1, limit_pipeline=1000) as served:
            first, second = await served.connect(), await served.connect()
            await first.send(request("GET", "/first"))
            await gate.entered.wait()
            await second.send(*(request("GET", "/") for _ in range(900)))
            assert {(await second.reply()).status for _ in range(900)} == {503}
            gate.opened.set()
            await first.reply()

    run(main())


def test_endless_chunk_extensions_are_refused(run: Run) -> None:
    async def main() -> None:
        async with serving(echo) as served:
            client = await served.connect()
            await client.send(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1;")
            with contextlib.suppress(ConnectionError):
                for _ in range(100):
                    await client.send(b"a" * 1024)
            assert (await client.reply()).status == 400

    run(main())


def test_an_unread_upload_makes_the_client_wait(run: Run) -> None:
    async def main() -> None:
        gate = Gate()

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await no_lifespan(scope)
            gate.entered.set()
            await gate.opened.wait()
            await echo(scope, receive, send)

        async with serving(app) as served:
            client = await served.connect()
            body = b"x" * 8_000_000
            sending = asyncio.create_task(client.send(request("POST", "/", body=body)))
            await gate.entered.wait()
            await asyncio.wait([sending], timeout=0.05)
            (connection,) = served.edge.server.connections
            assert connection.current is not None
            assert connection.current.body is not None
            assert connection.current.body.size < 1_000_000
            gate.opened.set()
            assert (await client.reply()).body == body
            await sending

    run(main())


def test_an_unread_answer_makes_the_application_wait(run: Run) -> None:
    async def main() -> None:
        sent: list[int] = []

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await no_lifespan(scope)
            await send({"type": "http.response.start", "status": 200, "headers": TEXT})
            for n in range(500):
                await send({"type": "http.response.body", "body": b"x" * 65536, "more_body": True})
                sent.append(n)
            await send({"type": "http.response.body"})

        async with serving(app) as served:
            client = await served.connect()
            client.writer.transport.pause_reading()  # type: ignore[attr-defined]
            await client.send(request("GET", "/"))
            waiting = asyncio.create_task(asyncio.Event().wait())
            await asyncio.wait([waiting], timeout=0.1)
            waiting.cancel()
            assert len(sent) < 400
            client.writer.transport.resume_reading()  # type: ignore[attr-defined]
            assert len((await client.reply()).body) == 500 * 65536

    run(main())


def test_a_client_that_reads_nothing_is_cut_off(run: Run) -> None:
    async def main() -> None:
        ended = asyncio.Event()

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await no_lifespan(scope)
            await send({"type": "http.response.start", "status": 200, "headers": TEXT})
            await send({"type": "http.response.body", "body": b"x" * 30_000_000, "more_body": True})
            await receive()
            while (await receive())["type"] != "http.disconnect":
                pass
            ended.set()

        async with serving(app, body_timeout=0.1) as served:
            client = await served.connect()
            client.writer.transport.pause_reading()  # type: ignore[attr-defined]
            await client.send(request("GET", "/"))
            await ended.wait()
            assert served.meter.connections == 0

    run(main())
