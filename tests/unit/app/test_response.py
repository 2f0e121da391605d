"""What a context says about its answer before it is sent."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, strategies as st
from tests.unit.app.fakes import context

from tamago.app.errors import HttpError, StatusError, UnsafeRedirectError
from tamago.app.header_values import HeaderError, disposition, header_value, safe_location


def test_the_status_follows_the_body_until_it_is_set() -> None:
    ctx = context()
    assert ctx.status == 404
    ctx.body = "x"
    assert ctx.status == 200
    ctx.body = None
    assert ctx.status == 204
    ctx.status = 418
    assert (ctx.status, ctx.response.message) == (418, "I'm a Teapot")


def test_the_response_writes_what_the_context_sends() -> None:
    ctx = context()
    ctx.response.body, ctx.response.status = "x", 201
    assert (ctx.body, ctx.status, ctx.response.body, ctx.response.status) == ("x", 201, "x", 201)
    assert not ctx.response.header_sent
    ctx.answered = True
    assert ctx.response.header_sent


@pytest.mark.parametrize("status", [0, 100, 199, 1000, "200", None, 2.5])
def test_what_is_no_status_is_refused_where_it_is_set(status: Any) -> None:
    with pytest.raises(ValueError, match="is not the status of an answer"):
        context().status = status


def test_fields_are_set_added_and_taken_back() -> None:
    ctx = context()
    ctx.set("X-A", "1")
    ctx.set("x-a", 2)
    ctx.append("x-A", "3")
    ctx.append("x-b", ["4", "5"])
    assert ctx.answer_fields == ((b"x-a", b"2"), (b"x-a", b"3"), (b"x-b", b"4"), (b"x-b", b"5"))
    assert ctx.response.get("X-a") == "2, 3"
    ctx.remove("x-a")
    assert ctx.response.headers == {"x-b": "5"}


def test_the_type_is_a_field_like_any_other_and_there_is_one() -> None:
    ctx = context()
    ctx.set("Content-Type", "text/css")
    ctx.append("content-type", "text/html; charset=latin-1")
    assert (ctx.type, ctx.response.get("content-type")) == ("text/html", "text/html; charset=latin-1")
    ctx.remove("content-type")
    assert (ctx.type, ctx.answer_type) == ("", None)


@pytest.mark.parametrize(
    ("short", "full"),
    [
        ("json", "application/json"),
        ("html", "text/html; charset=utf-8"),
        (".png", "image/png"),
        ("text/css", "text/css; charset=utf-8"),
        ("text/css; charset=latin-1", "text/css; charset=latin-1"),
        ("xml", "application/xml; charset=utf-8"),
        ("nonsense", "application/octet-stream"),
    ],
)
def test_types_have_short_names(short: str, full: str) -> None:
    ctx = context()
    ctx.type = short
    assert ctx.response.get("content-type") == full


@pytest.mark.parametrize("value", ["a\r\nset-cookie: b=c", "a\nb", "a\rb", "a\0b", "中"])
def test_what_would_write_another_field_is_refused_where_it_is_set(value: str) -> None:
    ctx = context()
    for write in (ctx.set, ctx.append):
        with pytest.raises(HeaderError):
            write("x-a", value)
    for attribute in ("etag", "type"):
        with pytest.raises(HeaderError):
            setattr(ctx, attribute, f"text/{value}")
    assert ctx.answer_fields == ()


@pytest.mark.parametrize("name", ["", "a b", "a:", "é", "a\r\nb"])
def test_what_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(HeaderError, match="cannot be the name of a header"):
        context().set(name, "x")


@given(st.text(max_size=50))
def test_no_value_ever_has_a_line_break_in_it(text: str) -> None:
    try:
        encoded = header_value("x", text)
    except HeaderError:
        return
    assert not set(encoded) & {10, 13, 0}


@pytest.mark.parametrize(
    ("url", "location"),
    [
        ("/", "/"),
        ("", "/"),
        ("/a/b?c=d&e#f", "/a/b?c=d&e#f"),
        ("relative/path", "relative/path"),
        ("?page=2", "?page=2"),
        ("https://x.example/a", "https://x.example/a"),
        ("HTTP://x.example", "HTTP://x.example"),
        ("/中", "/%E4%B8%AD"),
        ("/a%20b", "/a%20b"),
        ("/to?u=https://x", "/to?u=https://x"),
    ],
)
def test_a_redirect_goes_to_this_site_or_to_one_that_is_named(url: str, location: str) -> None:
    ctx = context()
    ctx.redirect(url)
    assert (ctx.status, ctx.response.get("location"), ctx.body) == (302, location, f"Redirecting to {location}.")
    assert ctx.response.get("content-type") == "text/plain; charset=utf-8"


@pytest.mark.parametrize(
    "url",
    [
        "//evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "\t//evil.example",
        "/\t/evil.example",
        "javascript:alert(1)",
        "JavaScript:alert(1)",
        "data:text/html,x",
        "ftp://x",
        "https:evil.example",
        "https:/evil.example",
        "https:///evil.example",
        "/a\r\nset-cookie: b=c",
        "mailto:a@b",
    ],
)
def test_a_redirect_to_anywhere_else_is_refused(url: str) -> None:
    with pytest.raises(UnsafeRedirectError) as raised:
        context().redirect(url)
    assert raised.value.status == 400


@given(st.text(alphabet="/\\:. ahtps\t\n", max_size=12))
def test_no_location_begins_like_another_site(url: str) -> None:
    try:
        location = safe_location(url)
    except UnsafeRedirectError:
        return
    assert not location.startswith(("//", "/\\", "\\"))
    assert not re.match(r"[a-z][a-z0-9+.-]*:", location, re.IGNORECASE) or location.lower().startswith(("http://", "https://"))


def test_a_redirect_takes_another_status() -> None:
    ctx = context()
    ctx.redirect("/x", 308)
    assert ctx.status == 308


@pytest.mark.parametrize(
    ("filename", "field"),
    [
        ("", "attachment"),
        ("a.txt", 'attachment; filename="a.txt"'),
        ('a"b.txt', "attachment; filename=\"a_b.txt\"; filename*=UTF-8''a%22b.txt"),
        ("中.txt", "attachment; filename=\"_.txt\"; filename*=UTF-8''%E4%B8%AD.txt"),
        ("a\r\nb", "attachment; filename=\"a__b\"; filename*=UTF-8''a%0D%0Ab"),
        ("50%.txt", "attachment; filename=\"50_.txt\"; filename*=UTF-8''50%25.txt"),
    ],
)
def test_a_file_is_named_for_old_clients_and_new(filename: str, field: str) -> None:
    assert disposition(filename, "attachment") == field


def test_an_attachment_has_the_type_of_its_name_unless_one_is_set() -> None:
    ctx = context()
    ctx.attachment("a.csv")
    assert (ctx.type, ctx.response.get("content-disposition")) == ("text/csv", 'attachment; filename="a.csv"')
    ctx = context()
    ctx.type = "json"
    ctx.attachment("a.csv")
    assert ctx.type == "application/json"


def test_vary_is_collected_once_each() -> None:
    ctx = context()
    for name in ("Accept", "accept", "Origin"):
        ctx.vary(name)
    assert ctx.response.get("vary") == "Accept, Origin"
    ctx.vary("*")
    ctx.vary("x")
    assert ctx.response.get("vary") == "*"


@pytest.mark.parametrize(("given", "etag"), [("a", '"a"'), ('"a"', '"a"'), ('W/"a"', 'W/"a"')])
def test_an_etag_has_quotes(given: str, etag: str) -> None:
    ctx = context()
    ctx.etag = given
    assert ctx.etag == etag


def test_times_are_http_dates() -> None:
    ctx = context()
    ctx.last_modified = datetime(2000, 1, 1, tzinfo=UTC)
    assert ctx.last_modified == "Sat, 01 Jan 2000 00:00:00 GMT"
    ctx.last_modified = 0.0
    assert ctx.response.get("last-modified") == "Thu, 01 Jan 1970 00:00:00 GMT"
    with pytest.raises(HeaderError, match="no time zone"):
        ctx.last_modified = datetime(2000, 1, 1)  # noqa: DTZ001


def test_a_length_can_be_announced() -> None:
    ctx = context()
    assert ctx.length is None
    ctx.length = 7
    assert ctx.length == 7


def test_throw_raises_with_all_it_is_given() -> None:
    with pytest.raises(HttpError) as raised:
        context().throw(422, "wrong", code="invalid", errors=[1], field="id")
    error = raised.value
    assert (error.status, error.problem, error.code, error.errors, error.props, error.expose) == (
        422,
        "wrong",
        "invalid",
        [1],
        {"field": "id"},
        True,
    )
    assert HttpError(500).expose is False
    assert HttpError(404).problem == "Not Found"


@pytest.mark.parametrize("status", [200, 600, "no such egg", None])
def test_throw_says_what_it_wants_instead_of_a_status_that_is_none(status: Any) -> None:
    with pytest.raises(StatusError) as raised:
        context().throw(status)
    assert raised.value.problem == f"{status!r} is not the status of an error"
    assert "ctx.throw(404, 'no such egg')" in raised.value.hint
