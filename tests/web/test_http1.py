"""HTTP/1 on the wire: framing, order, persistence, and what is refused."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest
from tests.web.apps import TEXT, Gate, answer, echo, hello, no_lifespan, path, read_body
from tests.web.conftest import Run
from tests.web.edge import Client, request, serving, until

from tamago.server import http_server
from tamago.server.asgi import Receive, Scope, Send


def test_a_request_gets_its_answer(run: Run) -> None:
    async def main() -> None:
        async with serving(hello) as served:
            reply = await served.get()
            assert (reply.status, reply.body) == (200, b"hello")
            assert reply.head.startswith(b"HTTP/1.1 200 OK\r\n")
            assert reply["content-length"] == "5"
            assert reply["content-type"] == "text/plain"
            assert reply["server"] == "tamago"
            assert reply["date"].endswith(" GMT")
            assert "connection" not in reply

    run(main())


def test_the_date_is_not_made_for_each_answer(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[bytes] = []

    def date_field(now: float) -> bytes:
        made.append(b"date: %d\r\n" % len(made))
        return made[-1]

    monkeypatch.setattr(http_server, "date_field", date_field)

    async def main() -> None:
        async with serving(hello) as served:
            client = await served.connect()
            dates = [(await client.get())["date"] for _ in range(100)]
        assert len(made) < 50
        assert {b"date: %b\r\n" % date.encode() for date in dates} <= set(made)

    run(main())


def test_a_connection_serves_many_requests(run: Run) -> None:
    async def main() -> None:
        async with serving(path) as served:
            client = await served.connect()
            assert [(await client.get(f"/{n}")).body for n in range(20)] == [b"/%d" % n for n in range(20)]
            assert served.meter.requests == 20

    run(main())


def test_a_request_may_come_byte_by_byte(run: Run) -> None:
    async def main() -> None:
        async with serving(echo) as served:
            client = await served.connect()
            for byte in request("POST", "/", body=b"abc"):
                await client.send(bytes([byte]))
            assert (await client.reply()).body == b"abc"

    run(main())


@pytest.mark.parametrize("count", [3, 100, 1000])
def test_pipelined_requests_are_answered_in_order(run: Run, count: int) -> None:
    async def main() -> None:
        async with serving(path) as served:
            client = await served.connect()
            sent = asyncio.create_task(client.send(*(request("GET", f"/{n}", "X-Filler: " + "x" * 100) for n in range(count))))
            assert [(await client.reply()).body for _ in range(count)] == [b"/%d" % n for n in range(count)]
            await sent
            assert (await client.get("/after")).body == b"/after"

    run(main())


def test_pipelined_requests_wait_in_a_bounded_queue(run: Run) -> None:
    async def main() -> None:
        gate = Gate()
        async with serving(gate, limit_pipeline=4) as served:
            client = await served.connect()
            await client.send(*(request("GET", f"/{n}") for n in range(2000)))
            await gate.entered.wait()
            (connection,) = served.edge.server.connections
            assert len(connection.queue) < 700
            gate.opened.set()
            assert [(await client.reply()).body for _ in range(2000)] == [b"/%d" % n for n in range(2000)]

    run(main())


def test_nothing_is_answered_after_a_request_that_closes(run: Run) -> None:
    async def main() -> None:
        async with serving(path) as served:
            client = await served.connect()
            await client.send(request("GET", "/1"), request("GET", "/2", "Connection: close"), request("GET", "/3"))
            assert (await client.reply()).body == b"/1"
            reply = await client.reply()
            assert (reply.body, reply["connection"]) == (b"/2", "close")
            assert await client.rest() == b""

    run(main())


def test_pipelined_posts_keep_their_bodies_apart(run: Run) -> None:
    async def main() -> None:
        chunked = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n2\r\n!!\r\n0\r\n\r\n"
        async with serving(echo) as served:
            client = await served.connect()
            await client.send(chunked, request("POST", "/", body=b"two"), chunked, request("GET", "/"))
            assert [(await client.reply()).body for _ in range(4)] == [b"one!!", b"two", b"one!!", b""]

    run(main())


def test_a_chunked_upload_with_trailers_arrives_without_them(run: Run) -> None:
    async def main() -> None:
        async with serving(echo) as served:
            client = await served.connect()
            await client.send(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n")
            await client.send(b"X-Trailer: 1\r\n")
            await client.send(b"\r\n")
            assert (await client.reply()).body == b"abc"
            assert (await client.get()).body == b""

    run(main())


def test_http_1_0_closes_unless_asked_to_stay(run: Run) -> None:
    async def main() -> None:
        async with serving(hello) as served:
            client = await served.connect()
            await client.send(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            assert (await client.reply())["connection"] == "keep-alive"
            await client.send(b"GET / HTTP/1.0\r\n\r\n")
            reply = await client.reply()
            assert (reply.body, reply["connection"]) == (b"hello", "close")
            assert await client.rest() == b""

    run(main())


async def stream(scope: Scope, receive: Receive, send: Send) -> None:
    await no_lifespan(scope)
    await send({"type": "http.response.start", "status": 200, "headers": TEXT})
    for piece in (b"a", b"", b"b" * 100_000, b"c"):
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body"})


def test_a_stream_of_unknown_length_is_chunked(run: Run) -> None:
    async def main() -> None:
        async with serving(stream) as served:
            client = await served.connect()
            for _ in range(2):
                reply = await client.get()
                assert reply["transfer-encoding"] == "chunked"
                assert reply.body == b"a" + b"b" * 100_000 + b"c"

    run(main())


def test_a_stream_for_http_1_0_ends_with_the_connection(run: Run) -> None:
    async def main() -> None:
        async with serving(stream) as served:
            client = await served.connect()
            await client.send(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            reply = await client.reply()
            assert "transfer-encoding" not in reply
            assert reply["connection"] == "close"
            assert reply.body == b"a" + b"b" * 100_000 + b"c"

    run(main())


def test_head_gets_the_fields_and_no_body(run: Run) -> None:
    async def main() -> None:
        async with serving(hello) as served:
            client = await served.connect()
            await client.send(request("HEAD", "/"))
            assert (await client.reply(bodiless=True))["content-length"] == "5"
            assert (await client.get()).body == b"hello"

    run(main())


def test_head_of_a_stream_has_no_body_either(run: Run) -> None:
    async def main() -> None:
        async with serving(stream) as served:
            client = await served.connect()
            await client.send(request("HEAD", "/"), request("GET", "/"))
            await client.reply(bodiless=True)
            assert len((await client.reply()).body) == 100_002

    run(main())


@pytest.mark.parametrize("status", [204, 304])
def test_answers_without_content_have_none(run: Run, status: int) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await no_lifespan(scope)
        await answer(send, b"not allowed here", status=status)

    async def main() -> None:
        async with serving(app) as served:
            client = await served.connect()
            for _ in range(2):
                reply = await client.get()
                assert reply.status == status
                assert "transfer-encoding" not in reply
                assert status == 304 or "content-length" not in reply

    run(main())


def test_100_continue_is_sent_when_the_application_reads(run: Run) -> None:
    async def main() -> None:
        gate = Gate()

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await no_lifespan(scope)
            gate.entered.set()
            await gate.opened.wait()
            await echo(scope, receive, send)

        async with serving(app) as served:
            client = await served.connect()
            await client.send(b"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n")
            await gate.entered.wait()
            assert client.reader._buffer == b""  # type: ignore[attr-defined]
            gate.opened.set()
            assert (await client.reply()).status == 100
            await client.send(b"abc")
            assert (await client.reply()).body == b"abc"
            assert (await client.get()).status == 200

    run(main())


def test_without_reading_there_is_no_100_and_the_connection_ends(run: Run) -> None:
    async def main() -> None:
        async with serving(hello) as served:
            client = await served.connect()
            await client.send(b"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n")
            reply = await client.reply()
            assert (reply.status, reply["connection"]) == (200, "close")
            assert await client.rest() == b""

    run(main())


def test_nothing_stands_in_an_answer_that_has_begun(run: Run) -> None:
    """Also not a 100 for an application that reads after it began to answer."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await no_lifespan(scope)
        await send({"type": "http.response.start", "status": 200, "headers": TEXT})
        await send({"type": "http.response.body", "body": b"first", "more_body": True})
        await send({"type": "http.response.body", "body": await read_body(receive)})

    async def main() -> None:
        async with serving(app) as served:
            client = await served.connect()
            await client.send(b"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n")
            await client.reader.readuntil(b"5\r\nfirst\r\n")
            await client.send(b"abc")
            assert await client.rest() == b"3\r\nabc\r\n0\r\n\r\n"

    run(main())


def test_early_hints_come_before_the_answer(run: Run) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await no_lifespan(scope)
        assert "http.response.early_hint" in scope["extensions"]
        await send({"type": "http.response.early_hint", "links": [b"</a.css>; rel=preload", b"</b.js>; rel=preload"]})
        await send({"type": "http.response.start", "status": 200, "headers": TEXT})
        await send({"type": "http.response.early_hint", "links": [b"</c.css>; rel=preload"]})
        await send({"type": "http.response.early_hint", "links": []})
        await send({"type": "http.response.body", "body": b"a", "more_body": True})
        await send({"type": "http.response.early_hint", "links": [b"</late.css>; rel=preload"]})
        await send({"type": "http.response.body", "body": b"b"})

    async def main() -> None:
        async with serving(app) as served:
            client = await served.connect()
            await client.send(request("GET", "/"))
            first = await client.reply()
            assert first.head == b"HTTP/1.1 103 Early Hints\r\nlink: </a.css>; rel=preload\r\nlink: </b.js>; rel=preload\r\n\r\n"
            assert (await client.reply())["link"] == "</c.css>; rel=preload"
            reply = await client.reply()
            assert (reply.status, reply.body) == (200, b"ab")
            assert "link" not in reply

            await client.send(b"GET / HTTP/1.0\r\n\r\n")  # which knows no interim answers
            assert (await client.reply()).status == 200

    run(main())


def test_an_unread_body_is_thrown_away_and_the_connection_stays(run: Run) -> None:
    async def main() -> None:
        async with serving(hello) as served:
            client = await served.connect()
            await client.send(request("POST", "/", body=b"x" * 10)[:-5])
            assert (await client.reply()).body == b"hello"
            await client.send(b"xxxxx")
            assert (await client.get()).body == b"hello"

    run(main())


def test_a_huge_unread_body_ends_the_connection_without_harming_the_answer(run: Run) -> None:
    async def main() -> None:
        async with serving(hello) as served:
            client = await served.connect()
            await client.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10000000\r\n\r\n")
            assert (await client.reply()).body == b"hello"

            async def go_on() -> None:
                while True:
                    await client.send(b"x" * 65536)

            with pytest.raises(ConnectionError):
                await go_on()

    run(main())


def test_what_follows_an_unknown_upgrade_is_http(run: Run) -> None:
    async def main() -> None:
        async with serving(path) as served:
            client = await served.connect()
            await client.send(request("GET", "/1", "Connection: Upgrade", "Upgrade: h2c"), request("GET", "/2"))
            assert [(await client.reply()).body for _ in range(2)] == [b"/1", b"/2"]

    run(main())


UPGRADE = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: x\r\n"
BODIES = {
    "a length": b"Content-Length: 35\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n",
    "chunks": b"Transfer-Encoding: chunked\r\n\r\n23\r\nGET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n\r\n0\r\n\r\n",
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
@pytest.mark.parametrize("cut", [0, 5], ids=["at once", "in pieces"])
def test_the_body_of_a_request_for_an_unknown_upgrade_is_its_body(run: Run, body: bytes, cut: int) -> None:
    async def main() -> None:
        async with serving(echo) as served:
            client = await served.connect()
            data = b"POST / HTTP/1.1\r\nHost: x\r\n" + UPGRADE + body
            await client.send(data[: len(data) - cut])
            if cut:
                await until(lambda: served.meter.in_flight)
                await client.send(data[-cut:])
            await client.send(request("POST", "/", body=b"next"))
            assert (await client.reply()).body == b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
            assert (await client.reply()).body == b"next"

    run(main())


def test_a_request_for_an_upgrade_that_closes_is_the_last(run: Run) -> None:
    async def main() -> None:
        async with serving(echo) as served:
            client = await served.connect()
            await client.send(request("POST", "/", "Connection: Upgrade, close", "Upgrade: h2c", body=b"abc"), request("GET", "/"))
            reply = await client.reply()
            assert (reply.body, reply["connection"]) == (b"abc", "close")
            assert await client.rest() == b""

    run(main())


def test_a_bad_request_waits_for_the_answers_before_it(run: Run) -> None:
    async def main() -> None:
        gate = Gate()
        async with serving(gate) as served:
            client = await served.connect()
            await client.send(request("GET", "/1"), b"nonsense\r\n\r\n")
            await gate.entered.wait()
            gate.opened.set()
            assert (await client.reply()).body == b"/1"
            assert (await client.reply()).status == 400
            assert await client.rest() == b""

    run(main())


async def fail(scope: Scope, receive: Receive, send: Send) -> None:
    await no_lifespan(scope)
    raise ZeroDivisionError("the application's own")


def test_an_application_that_fails_is_a_500_and_a_logged_traceback(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        async with serving(fail) as served:
            client = await served.connect()
            for _ in range(2):
                reply = await client.get("/here")
                assert (reply.status, reply.body) == (500, b"500 Internal Server Error: the application failed\n")
        assert [record.levelno for record in caplog.records] == [logging.ERROR] * 2
        assert "GET /here" in caplog.text
        assert "ZeroDivisionError: the application's own" in caplog.text

    run(main())


def test_an_application_that_exits_does_not_take_the_worker_with_it(run: Run) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await no_lifespan(scope)
        raise SystemExit(3)

    async def main() -> None:
        async with serving(app) as served:
            assert (await served.get()).status == 500
            assert (await served.get()).status == 500

    run(main())


def head(*fields: Any, status: int = 200) -> dict[str, Any]:
    return {"type": "http.response.start", "status": status, "headers": fields}


def data(body: bytes = b"") -> dict[str, Any]:
    return {"type": "http.response.body", "body": body}


BROKEN_ANSWERS: dict[str, list[dict[str, Any]]] = {
    "nothing": [],
    "a body first": [data(b"x")],
    "two heads": [head(), head()],
    "a head only": [head()],
    "an unknown message": [{"type": "http.response.tea"}],
    "text for a body": [head(), {"type": "http.response.body", "body": "abc"}],
    "text for a body of a known length": [head((b"content-length", b"3")), {"type": "http.response.body", "body": "abc"}],
    "a line break in a hint": [{"type": "http.response.early_hint", "links": [b"</a>\r\nx: y"]}, head(), data()],
    "a line break in a value": [head((b"x-a", b"1\r\nx-b: 2")), data()],
    "a line feed in a name": [head((b"x-a\nx-b", b"1")), data()],
    "text for bytes": [head(("x-a", "1")), data()],
    "no number": [head((b"content-length", b"-1")), data()],
    "an interim status": [head(status=100), data()],
    "too much": [head((b"content-length", b"2")), data(b"abc")],
    "too little": [head((b"content-length", b"4")), data(b"abc")],
}


@pytest.mark.parametrize("messages", BROKEN_ANSWERS.values(), ids=BROKEN_ANSWERS.keys())
def test_a_broken_answer_is_a_500_when_nothing_was_sent(run: Run, messages: list[dict[str, object]]) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await no_lifespan(scope)
        for message in messages:
            await send(message)

    async def main() -> None:
        async with serving(app) as served:
            client = await served.connect()
            assert (await client.get()).status == 500
            assert (await client.get()).status == 500

    run(main())


@pytest.mark.parametrize("length", [b"", b"10"])
def test_an_answer_broken_half_way_cuts_the_connection(run: Run, length: bytes) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await no_lifespan(scope)
        fields = [(b"content-length", length)] if length else []
        await send({"type": "http.response.start", "status": 200, "headers": fields})
        await send({"type": "http.response.body", "body": b"abc", "more_body": True})
        await receive()
        message = await receive()
        assert message["type"] == "http.disconnect"
        raise ValueError("half-way")

    async def main() -> None:
        async with serving(app) as served:
            client = await served.connect()
            await client.send(request("POST", "/", body=b"x"))
            head = await client.reader.readuntil(b"abc")
            assert head.startswith(b"HTTP/1.1 200")
            client.writer.write_eof()
            assert await client.reset()

    run(main())


@pytest.mark.parametrize("extra", [b"abcdef", b""])
def test_a_length_broken_after_the_first_piece_cuts_the_connection(run: Run, caplog: pytest.LogCaptureFixture, extra: bytes) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await no_lifespan(scope)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]})
        await send({"type": "http.response.body", "body": b"abc", "more_body": True})
        await send({"type": "http.response.body", "body": extra})

    async def main() -> None:
        async with serving(app) as served:
            client: Client = await served.connect()
            await client.send(request("GET", "/"))
            with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
                await client.reply()
        assert "the body is not as long as its content-length says" in caplog.text

    run(main())


def test_requests_have_contexts_of_their_own(run: Run) -> None:
    import contextvars

    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="clean")

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await no_lifespan(scope)
        seen = variable.get()
        variable.set("dirty")
        await answer(send, seen.encode())

    async def main() -> None:
        async with serving(app) as served:
            client = await served.connect()
            await client.send(*(request("GET", "/") for _ in range(3)))
            assert [(await client.reply()).body for _ in range(3)] == [b"clean"] * 3

    run(main())
