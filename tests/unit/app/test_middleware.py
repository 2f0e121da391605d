"""The middleware every application has."""

from __future__ import annotations

import asyncio
import re

import pytest
from tests.unit.app.fakes import FakeApplication, FakeExchange, context, request

from tamago.app.config.models import BodyParser, MetaOptions, NotFound, RequestId, RequestTimeout
from tamago.app.context import Context
from tamago.app.errors import HttpError

pytestmark = pytest.mark.anyio

FORM = "application/x-www-form-urlencoded"


async def hello(ctx: Context) -> None:
    ctx.body = "hello"


async def echo(ctx: Context) -> None:
    ctx.body = {"method": ctx.method, "body": ctx.request.body}


# ── meta ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_meta_says_how_long_an_answer_took_also_an_error(app: FakeApplication) -> None:
    async def failing(ctx: Context) -> None:
        raise HttpError(400)

    app.router.get("/", hello)
    app.router.get("/fail", failing)
    for path in ("/", "/fail"):
        exchange = await app.answer(request("GET", path), app.built_in("meta"))
        assert re.fullmatch(r"\d+", exchange["x-readtime"] or "")


async def test_meta_counts_milliseconds(app: FakeApplication) -> None:
    async def backdated(ctx: Context) -> None:
        ctx.started -= 5.25
        ctx.body = ""

    app.router.get("/", backdated)
    exchange = await app.answer(request("GET", "/"), app.built_in("meta"))
    assert 5250 <= int(exchange["x-readtime"] or "") < 6000 + 60_000


async def test_meta_logs_a_request_if_asked(caplog: pytest.LogCaptureFixture) -> None:
    app = FakeApplication(meta=MetaOptions(logging=True))
    with caplog.at_level("INFO"):
        await app.answer(request("GET", "/", user_agent="curl"), app.built_in("meta"))
    assert "[meta] request started, host: shop.example, user-agent: curl" in caplog.text


# ── notfound ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("path", "accept", "kind", "data"),
    [
        ("/x", "text/html", "text/html; charset=utf-8", b"<h1>404 Not Found</h1>"),
        ("/x", "application/json", "application/json; charset=utf-8", b'{"message":"Not Found"}'),
        ("/x.json", "text/html", "application/json; charset=utf-8", b'{"message":"Not Found"}'),
    ],
)
async def test_notfound_answers_as_the_client_likes(app: FakeApplication, path: str, accept: str, kind: str, data: bytes) -> None:
    exchange = await app.answer(request("GET", path, accept=accept), app.built_in("notfound"))
    assert (exchange.status, exchange["content-type"], exchange.data) == (404, kind, data)


async def test_notfound_sends_browsers_to_a_page_and_says_when_that_is_missing() -> None:
    app = FakeApplication(notfound=NotFound(page_url="/404"))
    exchange = await app.answer(request("GET", "/x", accept="text/html"), app.built_in("notfound"))
    assert (exchange.status, exchange["location"]) == (302, "/404?real_status=404")
    exchange = await app.answer(request("GET", "/404", accept="text/html"), app.built_in("notfound"))
    assert (exchange.status, exchange["content-type"]) == (404, "text/html; charset=utf-8")
    assert b"is not implemented" in exchange.data


@pytest.mark.parametrize(("status", "body"), [(404, "mine"), (204, None), (405, None)])
async def test_notfound_leaves_answers_alone(app: FakeApplication, status: int, body: str | None) -> None:
    async def own(ctx: Context) -> None:
        ctx.status = status
        if body:
            ctx.body = body

    app.router.get("/", own)
    exchange = await app.answer(request("GET", "/"), app.built_in("notfound"))
    assert exchange.status == status
    assert b"h1" not in exchange.data


# ── body_parser ──────────────────────────────────────────────────────────────────────────────────────────────────────


async def posted(app: FakeApplication, content: bytes | None, kind: str, **headers: str) -> FakeExchange:
    app.router.post("/", echo)
    return await app.answer(request("POST", "/", content, content_type=kind, **headers), app.built_in("body_parser"))


@pytest.mark.parametrize(
    ("kind", "content", "body"),
    [
        ("application/json", b'{"a":[1]}', b'{"a":[1]}'),
        ("application/vnd.api+json; charset=utf-8", b"[]", b"[]"),
        ("application/json; charset=utf-16", '{"a":"é"}'.encode("utf-16"), '{"a":"é"}'.encode()),
        (FORM, b"a=1&b=x%20y&c=1&c=2&d[]=3", b'{"a":"1","b":"x y","c":["1","2"],"d":["3"]}'),
        (f"{FORM}; charset=latin-1", b"a=\xe9", '{"a":"é"}'.encode()),
        ("text/plain", b"left alone", b"{}"),
        ("image/png", b"\x89", b"{}"),
        ("", b"?", b"{}"),
    ],
)
async def test_body_parser_reads_json_and_forms(app: FakeApplication, kind: str, content: bytes, body: bytes) -> None:
    exchange = await posted(app, content, kind)
    assert exchange.data == b'{"method":"POST","body":' + body + b"}"


async def test_a_request_without_a_body_has_an_empty_one(app: FakeApplication) -> None:
    assert (await posted(app, None, "application/json")).data == b'{"method":"POST","body":{}}'


async def test_body_parser_reads_text_if_asked() -> None:
    exchange = await posted(FakeApplication(body_parser=BodyParser(enable_types=("text",))), "é".encode(), "text/plain")
    assert exchange.data == '{"method":"POST","body":"é"}'.encode()


@pytest.mark.parametrize(
    ("kind", "content", "status", "message"),
    [
        ("application/json", b"{", 400, b"the body is not JSON"),
        ("application/json", b"7", 400, b"must be a JSON object or array"),
        ("application/json", b'"\xff"', 400, b"the body is not JSON"),
        ("application/json", b"[" * 100_000, 400, b"the body is not JSON"),
        ("application/json; charset=klingon", b"{}", 415, b"klingon"),
        ("application/json; charset=zlib", b"{}", 415, b"zlib"),
        ("application/json; charset=utf-8", b"\xff", 400, b"is not utf-8"),
        (FORM, b"a&" * 1001 + b"a=1", 400, b"more than 1000 values"),
    ],
)
async def test_a_body_that_is_not_what_it_says_is_refused(
    app: FakeApplication, kind: str, content: bytes, status: int, message: bytes
) -> None:
    exchange = await posted(app, content, kind)
    assert exchange.status == status
    assert message in exchange.data


async def test_strict_can_be_turned_off() -> None:
    exchange = await posted(FakeApplication(body_parser=BodyParser(strict=False)), b"7", "application/json")
    assert exchange.data == b'{"method":"POST","body":7}'


async def test_a_body_over_the_limit_is_refused_without_being_read() -> None:
    app = FakeApplication(body_parser=BodyParser(json_limit=4))
    exchange = await posted(app, b"[1,2]", "application/json")
    assert (exchange.status, len(exchange.pieces)) == (413, 1)
    assert b"larger than 4 bytes" in exchange.data


async def test_a_body_in_chunks_is_read_up_to_the_limit_only() -> None:
    app = FakeApplication(body_parser=BodyParser(json_limit=4))
    app.router.post("/", echo)
    exchange = request("POST", "/", content_type="application/json")
    exchange.pieces = exchange.body = [b"[1,", b"2,", b"3,", b"4]"]
    await app.answer(exchange, app.built_in("body_parser"))
    assert (exchange.status, exchange.pieces) == (413, [b"3,", b"4]"])


# ── override_method ──────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("content", "kind", "header", "answer"),
    [
        (b"_method=delete&a=1", FORM, "", b'{"method":"DELETE","body":{"_method":"delete","a":"1"}}'),
        (b"a=1", FORM, "PUT", b'{"method":"PUT","body":{"a":"1"}}'),
        (b"a=1", FORM, "", b'{"method":"POST","body":{"a":"1"}}'),
        (b"a=1", FORM, "post", b'{"method":"POST","body":{"a":"1"}}'),
        (b'{"_method":"PUT"}', "application/json", "", b'{"method":"POST","body":{"_method":"PUT"}}'),
    ],
)
async def test_override_method_routes_a_post_again(app: FakeApplication, content: bytes, kind: str, header: str, answer: bytes) -> None:
    for verb in (app.router.post, app.router.put, app.router.delete):
        verb("/", echo)
    headers = {"x_http_method_override": header} if header else {}
    exchange = request("POST", "/", content, content_type=kind, **headers)
    await app.answer(exchange, app.built_in("body_parser", "override_method"))
    assert exchange.data == answer


@pytest.mark.parametrize("method", ["GET", "TRACE", "nonsense", "CONNECT"])
async def test_override_method_refuses_what_is_no_change(app: FakeApplication, method: str) -> None:
    app.router.post("/", echo)
    exchange = request("POST", "/", x_http_method_override=method)
    await app.answer(exchange, app.built_in("override_method"))
    assert (exchange.status, exchange.data) == (400, f"invalid override method: {method!r}".encode())


async def test_override_method_is_for_posts_only(app: FakeApplication) -> None:
    app.router.get("/", hello)
    app.router.delete("/", echo)
    exchange = await app.answer(request("GET", "/", x_http_method_override="DELETE"), app.built_in("override_method"))
    assert exchange.data == b"hello"


# ── request_timeout ──────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_handler_that_takes_too_long_is_cancelled_and_answered_for() -> None:
    app = FakeApplication(request_timeout=RequestTimeout(seconds=0.001))
    cancelled = asyncio.Event()

    async def slow(ctx: Context) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    app.router.get("/", slow)
    exchange = await app.answer(request("GET", "/"), app.built_in("request_timeout"))
    assert (exchange.status, exchange.data) == (503, b"Service Unavailable")
    assert cancelled.is_set()


async def test_the_log_has_the_line_at_which_the_handler_was_when_the_time_was_up(caplog: pytest.LogCaptureFixture) -> None:
    app = FakeApplication(request_timeout=RequestTimeout(seconds=0.001))

    async def slow(ctx: Context) -> None:
        await asyncio.Event().wait()  # here

    app.router.get("/", slow)
    await app.answer(request("GET", "/"), app.built_in("request_timeout"))
    assert "# here" in caplog.text


async def test_the_timeout_of_a_route_wins() -> None:
    app = FakeApplication(request_timeout=RequestTimeout(seconds=0.001))
    done = asyncio.Event()

    async def slow(ctx: Context) -> None:
        asyncio.get_running_loop().call_later(0.02, done.set)
        await done.wait()
        ctx.body = "in time"

    app.router.get("/own", slow, timeout=60)
    app.router.get("/never", slow, timeout=0)
    for path in ("/own", "/never"):
        done.clear()
        assert (await app.answer(request("GET", path), app.built_in("request_timeout"))).data == b"in time"


async def test_a_timeout_of_the_handlers_own_is_an_ordinary_error() -> None:
    app = FakeApplication(request_timeout=RequestTimeout(seconds=60))

    async def failing(ctx: Context) -> None:
        raise TimeoutError("the database")

    app.router.get("/", failing)
    assert (await app.answer(request("GET", "/"), app.built_in("request_timeout"))).status == 500


def test_without_any_timeout_there_is_no_middleware(app: FakeApplication) -> None:
    app.router.get("/", hello)
    assert app.built_in("request_timeout") == []
    app.router.get("/slow", hello, timeout=1)
    assert len(app.built_in("request_timeout")) == 1


# ── request_id ───────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_request_id_is_told_and_is_not_the_clients(app: FakeApplication) -> None:
    app = FakeApplication(request_id=RequestId(enable=True))

    async def say(ctx: Context) -> None:
        ctx.body = ctx.request_id

    app.router.get("/", say)
    exchange = await app.answer(request("GET", "/", x_request_id="forged"), app.built_in("request_id"))
    assert re.fullmatch("[0-9a-f]{32}", exchange["x-request-id"] or "")
    assert exchange.data.decode() == exchange["x-request-id"]


@pytest.mark.parametrize(("given", "believed"), [("abc-1", True), ("a b", False), ("x" * 65, False), ("", False)])
async def test_a_trusted_request_id_counts_if_it_is_a_decent_one(given: str, believed: bool) -> None:
    app = FakeApplication(request_id=RequestId(enable=True, trust=True))
    app.router.get("/", hello)
    exchange = await app.answer(request("GET", "/", x_request_id=given), app.built_in("request_id"))
    assert (exchange["x-request-id"] == given) is believed


async def test_an_edge_that_gives_ids_tells_them_itself() -> None:
    app = FakeApplication(request_id=RequestId(enable=True))

    async def say(ctx: Context) -> None:
        ctx.body = ctx.request_id

    app.router.get("/", say)
    exchange = request("GET", "/")
    exchange.request_id = "edge-1"  # type: ignore[attr-defined]
    await app.answer(exchange, app.built_in("request_id"))
    assert (exchange["x-request-id"], exchange.data) == (None, b"edge-1")


def test_a_route_without_a_limit_pays_for_no_coroutine_although_another_has_one() -> None:
    app = FakeApplication()
    app.router.get("/", hello)
    app.router.get("/slow", hello, timeout=1)
    (limit,) = app.built_in("request_timeout")
    following = asyncio.sleep(0)
    assert limit.run(context(request("GET", "/"), app=app), lambda ctx: following) is following
    following.close()
