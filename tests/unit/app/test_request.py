"""What a context knows of its request."""

from __future__ import annotations

import itertools
import tracemalloc
import zlib

import pytest
from hypothesis import given, strategies as st
from tests.unit.app.fakes import FakeApplication, context, request

from tamago.app import accepts
from tamago.app.config.models import BodyParser
from tamago.app.context import Context
from tamago.app.errors import BadRequestError, PayloadTooLargeError
from tamago.app.freshness import is_fresh
from tamago.app.headers import Headers
from tamago.app.target import decode_path, split_target

pytestmark = pytest.mark.anyio

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"


def of(target: str = "/", /, **headers: str) -> Context:
    return context(request("GET", target, **headers))


# ── line ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        (b"/", b"/", b""),
        (b"/a?b=c?d", b"/a", b"b=c?d"),
        (b"http://shop.example/a?b", b"/a", b"b"),
        (b"http://shop.example", b"/", b""),
        (b"*", b"*", b""),
        (b"/redirect?to=http://x", b"/redirect", b"to=http://x"),
        (b"/a://b", b"/a://b", b""),
    ],
)
def test_a_target_is_path_and_query(target: bytes, path: bytes, query: bytes) -> None:
    assert split_target(target) == (path, query)


@pytest.mark.parametrize(
    ("path", "text"), [(b"/a%20b", "/a b"), (b"/%E4%B8%AD", "/中"), ("/中".encode(), "/中"), (b"/%ff", "/\ufffd"), (b"/100%", "/100%")]
)
def test_a_path_is_decoded_and_never_fails(path: bytes, text: str) -> None:
    assert decode_path(path) == text


def test_the_values_of_a_query_are_egg_s() -> None:
    ctx = of("/?a=1&a=2&b[]=3")
    assert ctx.query == {"a": "1", "b[]": "3"}
    assert ctx.queries == {"a": ["1", "2"], "b[]": ["3"], "b": ["3"]}
    assert ctx.querystring == "a=1&a=2&b[]=3"


def test_a_name_of_its_own_wins_over_one_made_from_brackets() -> None:
    assert of("/?b=1&b[]=2&[]=3").queries == {"b": ["1"], "b[]": ["2"], "[]": ["3"]}


def test_empty_values_and_escapes_in_a_query_are_kept() -> None:
    assert of("/?a=&b&c=x%20y+z&%E4%B8%AD=1").query == {"a": "", "b": "", "c": "x y z", "中": "1"}


def test_a_query_with_too_many_values_is_refused() -> None:
    with pytest.raises(BadRequestError, match="more than 1000 values"):
        _ = of("/?" + "a=1&" * 1001).query


def test_urls_are_put_together_from_what_the_client_asked_for() -> None:
    exchange = request("GET", "/a%20b?c=d", host="shop.example:8080")
    exchange.scheme, exchange.root_path = "https", "/shop"
    ctx = context(exchange)
    assert (ctx.url, ctx.path, ctx.origin) == ("/a%20b?c=d", "/a b", "https://shop.example:8080")
    assert (ctx.href, ctx.secure, ctx.protocol) == ("https://shop.example:8080/shop/a%20b?c=d", True, "https")


@pytest.mark.parametrize(
    ("host", "hostname"), [("shop.example", "shop.example"), ("shop.example:80", "shop.example"), ("[::1]:80", "[::1]"), ("[::1]", "[::1]")]
)
def test_the_hostname_is_the_host_without_its_port(host: str, hostname: str) -> None:
    assert of("/", host=host).hostname == hostname


@pytest.mark.parametrize(
    ("client", "ip"), [(("1.2.3.4", 5), "1.2.3.4"), (("::ffff:1.2.3.4", 5), "1.2.3.4"), (("::1", 5), "::1"), (None, "")]
)
def test_the_ip_is_the_clients(client: tuple[str, int] | None, ip: str) -> None:
    exchange = request("GET", "/", x_forwarded_for="6.6.6.6")
    exchange.client = client
    assert context(exchange).ip == ip


def test_rewriting_routes_again_and_forgets_what_the_old_line_said(app: FakeApplication) -> None:
    async def item(ctx: Context) -> None: ...

    app.router.put("/items/{id:int}", item)
    ctx = context(request("POST", "/old?a=1"), app=app)
    assert ctx.query == {"a": "1"}
    ctx.rewrite(method="PUT", path="/items/7?b=2")
    assert (ctx.method, ctx.path, ctx.query, ctx.params) == ("PUT", "/items/7", {"b": "2"}, {"id": 7})
    assert ctx.route.handler is item


# ── header fields ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_headers_are_a_mapping_whatever_the_case() -> None:
    headers = Headers([(b"accept", b"a"), (b"accept", b"b"), (b"cookie", b"c=1"), (b"cookie", b"d=2"), (b"x", b"\xe9")])
    assert headers["Accept"] == "a, b"
    assert headers["cookie"] == "c=1; d=2"
    assert headers["x"] == "é"
    assert (headers.get("none"), "ACCEPT" in headers, "é" in headers, len(headers)) == (None, True, False, 3)
    assert list(headers) == ["accept", "cookie", "x"]
    assert headers.get_all("accept") == ["a", "b"]


def test_referer_and_referrer_are_the_same() -> None:
    assert of("/", referer="/x").get("Referrer") == of("/", referrer="/x").get("Referer") == "/x"
    assert of("/").get("referer") == ""
    assert of("/").get("nothing", "else") == "else"


@pytest.mark.parametrize(
    ("kind", "media"), [("text/HTML; charset=utf-8", "text/html"), ("", ""), ("application/json", "application/json"), (" a/b ;c", "a/b")]
)
def test_the_content_type_is_without_parameters(kind: str, media: str) -> None:
    assert of("/", content_type=kind).content_type == media


@pytest.mark.parametrize(
    ("accept", "offered", "chosen"),
    [
        ("", ("json", "html"), "json"),
        ("", (), None),
        ("*/*", ("json", "html"), "json"),
        ("text/html", ("json", "html"), "html"),
        ("text/*", ("json", "html"), "html"),
        ("image/png", ("json", "html"), None),
        ("application/json;q=0.5, text/html", ("json", "html"), "html"),
        ("application/json;q=0.5, text/html;q=0.4", ("html", "json"), "json"),
        ("text/html;q=0, */*", ("html", "json"), "json"),
        ("text/html, application/json", ("json", "html"), "html"),
        ("text/*, application/json", ("html", "json"), "json"),
        (BROWSER, ("html", "text", "json"), "html"),
        (BROWSER, ("json", "png"), "json"),
        ("TEXT/HTML", ("html",), "html"),
        ("nonsense, text/html;q=x, application/json", ("html", "json"), "json"),
        ("application/json", ("application/json", "json"), "application/json"),
    ],
)
def test_the_client_gets_what_it_likes_best(accept: str, offered: tuple[str, ...], chosen: str | None) -> None:
    assert accepts.best(accept, offered) == chosen


@given(accept=st.text(max_size=100), offered=st.lists(st.sampled_from(["html", "json", "text", "png"]), unique=True))
def test_whatever_a_client_says_it_gets_something_offered_or_nothing(accept: str, offered: list[str]) -> None:
    assert accepts.best(accept, tuple(offered)) in (*offered, None)


@pytest.mark.parametrize(
    ("target", "accept", "kind", "json"),
    [
        ("/", BROWSER, "", False),
        ("/a.json", BROWSER, "", True),
        ("/", "application/json", "", True),
        ("/", "*/*", "", False),
        ("/", BROWSER, "json", True),
    ],
)
def test_json_is_wanted_by_ending_type_or_liking(target: str, accept: str, kind: str, json: bool) -> None:
    ctx = of(target, accept=accept)
    if kind:
        ctx.type = kind
    assert ctx.accept_json is json


@pytest.mark.parametrize(
    ("headers", "fresh"),
    [
        ({}, False),
        ({"if-none-match": '"a"'}, True),
        ({"if-none-match": 'W/"a"'}, True),
        ({"if-none-match": '"b", "a"'}, True),
        ({"if-none-match": "*"}, True),
        ({"if-none-match": '"b"'}, False),
        ({"if-none-match": '"a"', "cache-control": "max-age=0, no-cache"}, False),
        ({"if-modified-since": "Sat, 01 Jan 2000 00:00:00 GMT"}, True),
        ({"if-modified-since": "Fri, 31 Dec 1999 23:59:59 GMT"}, False),
        ({"if-modified-since": "rubbish"}, False),
        ({"if-none-match": '"b"', "if-modified-since": "Sat, 01 Jan 2000 00:00:00 GMT"}, False),
    ],
)
def test_a_copy_is_fresh_by_its_etag_or_else_its_time(headers: dict[str, str], fresh: bool) -> None:
    assert is_fresh(headers, etag='"a"', last_modified="Sat, 01 Jan 2000 00:00:00 GMT") is fresh
    assert not is_fresh(headers, etag="", last_modified="")


def test_only_a_good_answer_to_a_get_can_be_fresh() -> None:
    ctx = of("/", if_none_match='"a"')
    ctx.etag = "a"
    assert not ctx.fresh, "404"
    ctx.body = "x"
    assert ctx.fresh
    ctx.method = "POST"
    assert not ctx.fresh


# ── body ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_the_body_is_read_once_and_understood_as_asked() -> None:
    ctx = context(request("POST", "/", b'{"a":"\xc3\xa9"}'))
    assert await ctx.raw_body() == b'{"a":"\xc3\xa9"}'
    assert await ctx.json() == {"a": "é"}
    assert await ctx.text() == '{"a":"é"}'
    assert ctx.request.raw_body == await ctx.raw_body()


async def test_a_form_is_read_whatever_its_type_claims() -> None:
    assert await context(request("POST", "/", b"a=1&a=2&b[]=3&b=4")).form() == {"a": ["1", "2"], "b": ["3", "4"]}


async def test_a_request_without_a_body_reads_as_nothing() -> None:
    ctx = context(request("POST", "/"))
    assert (await ctx.raw_body(), await ctx.text(), await ctx.form()) == (b"", "", {})


def compressed(kind: str, data: bytes) -> bytes:
    packer = zlib.compressobj(wbits={"gzip": 31, "deflate": 15}[kind])
    return packer.compress(data) + packer.flush()


@pytest.mark.parametrize("kind", ["gzip", "deflate"])
async def test_a_compressed_body_is_unpacked(kind: str) -> None:
    assert await context(request("POST", "/", compressed(kind, b'{"a":1}'), content_encoding=kind.upper())).json() == {"a": 1}


@pytest.mark.parametrize(
    ("content", "encoding", "status"),
    [
        (b"\x00" * 20, "gzip", 400),
        (compressed("gzip", b"x" * 100)[:-9], "gzip", 400),
        (b"x", "br", 415),
        (compressed("gzip", b"\x00" * 50_000_000), "gzip", 413),
    ],
    ids=["not gzip", "cut", "unknown", "bomb"],
)
async def test_a_compressed_body_that_cannot_be_unpacked_is_refused(content: bytes, encoding: str, status: int) -> None:
    with pytest.raises(Exception) as raised:
        await context(request("POST", "/", content, content_encoding=encoding)).raw_body()
    assert getattr(raised.value, "status", None) == status


async def test_what_a_small_body_unpacks_to_is_never_held_beyond_the_limit() -> None:
    bomb = compressed("gzip", b"\x00" * 50_000_000)
    app = FakeApplication(body_parser=BodyParser(raw_limit=100_000))
    tracemalloc.start()
    with pytest.raises(PayloadTooLargeError):
        await context(request("POST", "/", bomb, content_encoding="gzip"), app=app).raw_body()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 5_000_000


# ── and the rest ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_services_helper_and_state_are_made_once(app: FakeApplication) -> None:
    made = itertools.count(1)
    app.services = lambda _: next(made)
    ctx = context(app=app)
    assert ctx.service == ctx.service == 1
    assert ctx.helper is ctx.helper
    assert ctx.helper.ctx is ctx
    ctx.state["a"] = 1
    assert ctx.state == {"a": 1}
    assert context(app=app).state == {}
    assert ctx.request_id == ctx.request_id != context(app=app).request_id
    assert (ctx.config, ctx.logger, ctx.httpclient) == (app.config, app.logger, None)
    assert ctx.elapsed > 0
