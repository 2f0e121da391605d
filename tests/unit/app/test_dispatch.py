"""From a request to its answer: what a handler sets is what the client gets."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest
from tests.unit.app.fakes import FakeApplication, FakeExchange, context, request

from tamago.app.context import Context
from tamago.app.current import current_context
from tamago.app.errors import ExitError, HttpError
from tamago.app.event_stream import Event, EventStream
from tamago.app.response_value import Response
from tamago.app.streaming import Filler, stream

pytestmark = pytest.mark.anyio


class Post(msgspec.Struct):
    id: int


@dataclass
class Tag:
    name: str


class Text(str):
    """Text, and no more than that."""

    __slots__ = ()


class Markup(str):
    """What MarkupSafe and Django mark as HTML."""

    __slots__ = ()

    def __html__(self) -> str:
        return self


async def answered(app: FakeApplication, body: Any, *, status: int = 0, method: str = "GET") -> FakeExchange:
    async def handler(ctx: Context) -> None:
        ctx.body = body
        if status:
            ctx.status = status

    app.router.register((method,), "/", handler)
    return await app.answer(request(method, "/"))


@pytest.mark.parametrize(
    ("body", "kind", "data"),
    [
        ("hello", "text/plain; charset=utf-8", b"hello"),
        ("", "text/plain; charset=utf-8", b""),
        ("é", "text/plain; charset=utf-8", "é".encode()),
        ("<p>hello", "text/plain; charset=utf-8", b"<p>hello"),
        pytest.param(Text("<p>hello"), "text/plain; charset=utf-8", b"<p>hello", id="a kind of text"),
        pytest.param(Markup("<p>hello"), "text/html; charset=utf-8", b"<p>hello", id="markup"),
        ("1 < 2", "text/plain; charset=utf-8", b"1 < 2"),
        (b"\x00", "application/octet-stream", b"\x00"),
        (bytearray(b"\x00"), "application/octet-stream", b"\x00"),
        ({"a": 1}, "application/json; charset=utf-8", b'{"a":1}'),
        ([1, 2], "application/json; charset=utf-8", b"[1,2]"),
        ((1, 2), "application/json; charset=utf-8", b"[1,2]"),
        (Post(7), "application/json; charset=utf-8", b'{"id":7}'),
        (Tag("x"), "application/json; charset=utf-8", b'{"name":"x"}'),
        (0, "application/json; charset=utf-8", b"0"),
        (False, "application/json; charset=utf-8", b"false"),
    ],
)
async def test_the_body_decides_type_and_status(app: FakeApplication, body: Any, kind: str, data: bytes) -> None:
    exchange = await answered(app, body)
    assert (exchange.status, exchange["content-type"], exchange.data, exchange.done) == (200, kind, data, True)
    assert exchange.calls == ["respond"]


async def test_a_path_nobody_answers_is_404(app: FakeApplication) -> None:
    exchange = await app.answer(request("GET", "/nowhere"))
    assert (exchange.status, exchange.data, exchange["content-type"]) == (404, b"Not Found", "text/plain; charset=utf-8")


async def test_a_body_set_to_none_is_204_without_a_body(app: FakeApplication) -> None:
    exchange = await answered(app, None)
    assert (exchange.status, exchange.data, exchange["content-type"]) == (204, b"", None)


async def test_a_status_without_a_body_says_its_phrase(app: FakeApplication) -> None:
    exchange = await answered(app, None, status=201)
    assert (exchange.status, exchange.data) == (201, b"Created")


@pytest.mark.parametrize("status", [204, 205, 304])
async def test_a_status_that_has_no_body_is_sent_without_one(status: int) -> None:
    for body in ("text", {"a": 1}, Path(__file__), _pieces("a")):
        exchange = await answered(FakeApplication(), body, status=status)
        assert (exchange.status, exchange.data, exchange["content-type"]) == (status, b"", None)


async def test_what_cannot_be_a_body_is_an_error_that_says_what_can(app: FakeApplication, caplog: pytest.LogCaptureFixture) -> None:
    exchange = await answered(app, object())
    assert (exchange.status, exchange.data) == (500, b"Internal Server Error")
    assert "an async iterator" in caplog.text


async def test_a_file_is_sent_with_the_type_of_its_name(app: FakeApplication, tmp_path: Path) -> None:
    path = tmp_path / "a.css"
    path.write_text("a {}")
    exchange = await answered(app, path)
    assert (exchange.status, exchange["content-type"], exchange.data) == (200, "text/css; charset=utf-8", b"a {}")


@pytest.mark.parametrize("name", ["missing", ".", "missing/deeper"])
async def test_a_file_that_is_none_is_404(app: FakeApplication, tmp_path: Path, name: str) -> None:
    assert (await answered(app, tmp_path / name)).status == 404


async def test_a_response_sets_body_status_fields_and_type(app: FakeApplication) -> None:
    exchange = await answered(app, Response({"id": 1}, 201, {"location": "/posts/1"}, type="application/vnd.api+json"))
    assert (exchange.status, exchange["location"], exchange["content-type"]) == (201, "/posts/1", "application/vnd.api+json")
    assert exchange.data == b'{"id":1}'


async def test_fields_set_on_the_context_are_sent(app: FakeApplication) -> None:
    async def handler(ctx: Context) -> None:
        ctx.body = "x"
        ctx.type = "html"
        ctx.set("X-One", 1)
        ctx.append("x-many", ["a", "b"])

    app.router.get("/", handler)
    exchange = await app.answer(request("GET", "/"))
    assert exchange["content-type"] == "text/html; charset=utf-8"
    assert (exchange["x-one"], exchange.all("x-many")) == ("1", ["a", "b"])


# ── streams ──────────────────────────────────────────────────────────────────────────────────────────────────────────


async def _pieces(*pieces: str | bytes) -> AsyncIterator[str | bytes]:
    for piece in pieces:
        yield piece


async def test_an_async_iterator_is_sent_piece_by_piece(app: FakeApplication) -> None:
    exchange = await answered(app, _pieces("a", b"b", "", "c"))
    assert (exchange.status, exchange.data, exchange.done, exchange.calls[0]) == (200, b"abc", True, "start")


async def test_head_closes_a_stream_without_running_it(app: FakeApplication) -> None:
    async def never() -> AsyncIterator[str]:
        raise AssertionError("it ran")
        yield ""

    exchange = await answered(app, never(), method="HEAD")
    assert (exchange.status, exchange.data, exchange.done) == (200, b"", True)


async def test_a_stream_that_fails_is_cut_and_not_ended(app: FakeApplication, caplog: pytest.LogCaptureFixture) -> None:
    async def broken() -> AsyncIterator[str]:
        yield "half"
        raise LookupError("the rest is lost")

    app.router.get("/", _setting(broken()))
    exchange = request("GET", "/")
    with pytest.raises(LookupError, match="the rest is lost"):
        await app.answer(exchange)
    assert (exchange.data, exchange.done) == (b"half", False)
    assert not caplog.records, "no other answer was tried"


async def test_a_client_that_leaves_closes_the_stream_while_it_waits(app: FakeApplication) -> None:
    closed = asyncio.Event()
    began = asyncio.Event()

    async def endless() -> AsyncIterator[str]:
        try:
            yield "first"
            began.set()
            await asyncio.Event().wait()
        finally:
            closed.set()

    app.router.get("/", _setting(endless()))
    exchange = request("GET", "/")
    task = asyncio.create_task(app.answer(exchange))
    await began.wait()
    exchange.hang_up()
    await task
    assert closed.is_set()
    assert not exchange.done


@pytest.mark.parametrize("wrap", [lambda pieces: pieces, EventStream])
async def test_a_stream_nobody_reads_is_closed_between_its_pieces(app: FakeApplication, wrap: Any) -> None:
    exchange = request("POST", "/", b"unread")
    closed = False

    async def endless() -> AsyncIterator[str]:
        nonlocal closed
        try:
            while True:
                yield "piece"
                exchange.gone = True
        finally:
            closed = True

    pieces = endless()
    app.router.post("/", _setting(wrap(pieces)))
    await app.answer(exchange)
    assert closed
    assert "wait_for_input" not in exchange.calls, "it would begin the time limit of the body"


async def test_nothing_is_sent_beside_a_stream_after_its_end(app: FakeApplication) -> None:
    class SlowToClose:
        def __aiter__(self) -> SlowToClose:
            return self

        async def __anext__(self) -> str:
            raise StopAsyncIteration

        async def aclose(self) -> None:
            for _ in range(100):
                await asyncio.sleep(0)

    async def handler(ctx: Context) -> None:
        await stream(ctx, SlowToClose(), (), Filler(b"!", 1e-9))

    await handler(context(exchange := request("GET", "/"), app=app))
    assert exchange.done
    assert exchange.late == 0


async def test_a_cancelled_request_closes_its_stream(app: FakeApplication) -> None:
    closed = asyncio.Event()
    began = asyncio.Event()

    async def endless() -> AsyncIterator[str]:
        try:
            began.set()
            await asyncio.Event().wait()
            yield ""
        finally:
            closed.set()

    app.router.get("/", _setting(endless()))
    task = asyncio.create_task(app.answer(request("GET", "/")))
    await began.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert closed.is_set()


async def test_an_event_stream_encodes_events_and_says_how_to_keep_it(app: FakeApplication) -> None:
    async def events() -> AsyncIterator[Any]:
        yield "one\ntwo"
        yield {"a": 1}
        yield Event(data="x", event="news", id="7", retry=1.5)

    exchange = await answered(app, EventStream(events()))
    assert exchange["content-type"] == "text/event-stream"
    assert exchange["cache-control"] == "no-cache"
    assert exchange.data == b':\n\ndata: one\ndata: two\n\ndata: {"a":1}\n\nevent: news\nid: 7\nretry: 1500\ndata: x\n\n'


async def test_an_event_stream_pings_while_nothing_happens(app: FakeApplication) -> None:
    exchange = request("GET", "/")

    async def quiet() -> AsyncIterator[str]:
        while exchange.data.count(b":\n\n") < 3:  # noqa: ASYNC110 - gives the loop a turn
            await asyncio.sleep(0)
        yield "at last"

    app.router.get("/", _setting(EventStream(quiet(), ping=0.001)))
    await app.answer(exchange)
    assert exchange.data.endswith(b"data: at last\n\n")
    assert exchange.done


async def test_an_event_stream_without_pings_begins_at_once_all_the_same(app: FakeApplication) -> None:
    exchange = request("GET", "/")

    async def quiet() -> AsyncIterator[str]:
        while not exchange.data:  # noqa: ASYNC110
            await asyncio.sleep(0)
        yield "at last"

    app.router.get("/", _setting(EventStream(quiet(), ping=0)))
    await app.answer(exchange)
    assert exchange.data == b":\n\ndata: at last\n\n"


@pytest.mark.parametrize("wrap", [lambda pieces: pieces, EventStream])
async def test_a_stream_runs_in_one_task_as_timeouts_around_pieces_need(app: FakeApplication, wrap: Any) -> None:
    tasks = set()

    async def pieces() -> AsyncIterator[str]:
        async with asyncio.timeout(60):
            for _ in range(3):
                tasks.add(asyncio.current_task())
                yield "x"
                await asyncio.sleep(0)

    exchange = await answered(app, wrap(pieces()))
    assert exchange.done
    assert len(tasks) == 1


async def test_a_source_of_events_is_closed_when_the_client_leaves(app: FakeApplication) -> None:
    began, closed = asyncio.Event(), asyncio.Event()

    async def endless() -> AsyncIterator[int]:
        try:
            yield 1
            began.set()
            await asyncio.Event().wait()
        finally:
            closed.set()

    app.router.get("/", _setting(EventStream(endless())))
    exchange = request("GET", "/")
    task = asyncio.create_task(app.answer(exchange))
    await began.wait()
    exchange.hang_up()
    await task
    assert closed.is_set()
    assert not exchange.done


@pytest.mark.parametrize("field", ["event", "id"])
def test_an_event_cannot_smuggle_a_field(field: str) -> None:
    with pytest.raises(ValueError, match=f"the {field} of an event"):
        Event(**cast("Any", {field: "a\ndata: forged"})).encode()


# ── errors ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def _setting(body: Any) -> Any:
    async def handler(ctx: Context) -> None:
        ctx.body = body

    return handler


def _raising(error: BaseException) -> Any:
    async def handler(ctx: Context) -> None:
        ctx.body = "half"
        ctx.etag = "x"
        ctx.set("content-security-policy", "default-src 'none'")
        raise error

    return handler


async def test_an_error_of_the_client_says_its_message(app: FakeApplication, caplog: pytest.LogCaptureFixture) -> None:
    app.router.get("/", _raising(HttpError(409, "taken", headers={"retry-after": "3"})))
    exchange = await app.answer(request("GET", "/"))
    assert (exchange.status, exchange.data, exchange["retry-after"]) == (409, b"taken", "3")
    assert not caplog.records


async def test_an_error_of_ours_tells_the_client_nothing_and_the_log_all(app: FakeApplication, caplog: pytest.LogCaptureFixture) -> None:
    heard: list[Any] = []
    app.events.on("error", lambda *details: heard.append(details))
    error = LookupError("the password is secret")
    app.router.get("/", _raising(error))
    exchange = await app.answer(request("GET", "/", accept="application/json"))
    assert (exchange.status, exchange.data) == (500, b'{"message":"Internal Server Error"}')
    assert "the password is secret" in caplog.text
    assert heard[0][0] is error


async def test_what_a_handler_waited_for_being_cancelled_is_an_error_like_any_other(
    app: FakeApplication, caplog: pytest.LogCaptureFixture
) -> None:
    async def handler(ctx: Context) -> None:
        job = asyncio.get_running_loop().create_future()
        job.cancel()
        await job

    app.router.get("/", handler)
    exchange = await app.answer(request("GET", "/"))
    assert (exchange.status, exchange.data) == (500, b"Internal Server Error")
    assert "RuntimeError: what the handler waited for was cancelled" in caplog.text
    assert "await job" in caplog.text


async def test_an_exit_is_an_error_of_its_request_and_the_cause_is_told(app: FakeApplication, caplog: pytest.LogCaptureFixture) -> None:
    async def handler(ctx: Context) -> None:
        sys.exit("no such option")

    told: list[Any] = []
    app.events.on("error", lambda error, ctx: told.append(error))
    app.router.get("/", handler)
    exchange = await app.answer(request("GET", "/"))
    assert (exchange.status, exchange.data) == (500, b"Internal Server Error")
    assert [type(error) for error in told] == [ExitError]
    assert "sys.exit('no such option') was called, which ends no worker" in caplog.text
    assert 'sys.exit("no such option")' in caplog.text


async def test_ctrl_c_is_no_error_of_a_request(app: FakeApplication, caplog: pytest.LogCaptureFixture) -> None:
    """It is for whoever runs the process, such as tests; a worker never gets it."""
    app.router.get("/", _raising(KeyboardInterrupt()))
    exchange = request("GET", "/")
    with pytest.raises(KeyboardInterrupt):
        await app.answer(exchange)
    assert exchange.status == 0
    assert not caplog.records


async def test_a_request_that_is_cancelled_itself_is_not_answered(app: FakeApplication, caplog: pytest.LogCaptureFixture) -> None:
    begun = asyncio.Event()

    async def handler(ctx: Context) -> None:
        begun.set()
        await asyncio.Event().wait()

    app.router.get("/", handler)
    exchange = request("GET", "/")
    answering = asyncio.create_task(app.answer(exchange))
    await begun.wait()
    answering.cancel()
    with pytest.raises(asyncio.CancelledError):
        await answering
    assert exchange.status == 0
    assert not caplog.records


async def test_an_error_keeps_fields_but_not_those_of_the_lost_body(app: FakeApplication) -> None:
    app.router.get("/", _raising(HttpError(400)))
    exchange = await app.answer(request("GET", "/"))
    assert exchange["content-security-policy"] == "default-src 'none'"
    assert exchange["etag"] is None


async def test_a_message_that_looks_like_html_is_sent_as_text(app: FakeApplication) -> None:
    app.router.get("/", _raising(HttpError(400, "<script>alert(1)</script>")))
    exchange = await app.answer(request("GET", "/"))
    assert exchange["content-type"] == "text/plain; charset=utf-8"
    assert exchange["x-content-type-options"] == "nosniff"


async def test_the_error_of_a_client_that_left_is_no_failure(app: FakeApplication, caplog: pytest.LogCaptureFixture) -> None:
    async def handler(ctx: Context) -> None:
        ctx.body = await ctx.text()

    app.router.post("/", handler)
    exchange = request("POST", "/", b"x")
    exchange.hang_up()
    await app.answer(exchange)
    assert not exchange.status
    assert not caplog.records


async def test_any_other_error_counts_also_when_the_client_left(app: FakeApplication, caplog: pytest.LogCaptureFixture) -> None:
    app.router.get("/", _raising(FileNotFoundError("the template")))
    exchange = request("GET", "/")
    exchange.hang_up()
    await app.answer(exchange)
    assert "the template" in caplog.text


async def test_an_error_page_that_fails_leaves_the_first_error_to_the_edge(app: FakeApplication, caplog: pytest.LogCaptureFixture) -> None:
    def broken(error: Exception, ctx: Context) -> None:
        raise KeyError("template")

    app.on_error = broken
    app.router.get("/", _raising(LookupError("first")))
    with pytest.raises(LookupError, match="first"):
        await app.answer(request("GET", "/"))
    assert "on_error failed" in caplog.text


# ── around ───────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_request_and_response_are_told_also_for_errors(app: FakeApplication) -> None:
    told: list[tuple[str, int]] = []
    app.events.on("request", lambda ctx: told.append(("request", ctx.status)))
    app.events.on("response", lambda ctx: told.append(("response", ctx.status)))
    app.router.get("/", _raising(HttpError(418)))
    await app.answer(request("GET", "/"))
    assert told == [("request", 404), ("response", 418)]


async def test_the_current_context_is_that_of_the_request_also_in_its_tasks(app: FakeApplication) -> None:
    async def handler(ctx: Context) -> None:
        async def child() -> bool:
            return current_context() is ctx

        ctx.body = [current_context() is ctx, await asyncio.create_task(child()), await asyncio.to_thread(current_context) is ctx]

    app.router.get("/", handler)
    assert (await app.answer(request("GET", "/"))).data == b"[true,true,true]"


@pytest.mark.parametrize("target", ["/a?x=1", "http://shop.example/a?x=1", "/a"])
async def test_the_query_and_the_absolute_form_do_not_matter_to_routing(app: FakeApplication, target: str) -> None:
    async def handler(ctx: Context) -> None:
        ctx.body = "found"

    app.router.get("/a", handler)
    assert (await app.answer(request("GET", target))).data == b"found"
