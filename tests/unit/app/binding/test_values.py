from __future__ import annotations

import datetime as dt
import uuid
from typing import Annotated, Any, Literal

import msgspec
import pytest
from msgspec import Meta
from tests.unit.app.binding.calling import echo, refused, run
from tests.unit.app.binding.fakes import FakeContext
from tests.unit.app.binding.models import SMALL, Color, Login, Page, Post

from tamago.app.binding import BadValue, Cookie, Header, Query
from tamago.app.errors import BadRequestError

TEXTS = [
    (str, "", ""),
    (str, "ü", "ü"),
    (int, "0", 0),
    (int, "-5", -5),
    (int, "123456789012345678901234567890", 123456789012345678901234567890),
    (SMALL, "9", 9),
    (float, "1.5", 1.5),
    (float, "2", 2.0),
    (bool, "true", True),
    (bool, "False", False),
    (bool, "1", True),
    (bool, "0", False),
    (Color, "red", Color.RED),
    (Literal["a", "b"], "b", "b"),
    (int | None, "7", 7),
    (Annotated[int, Meta(description="how many")], "7", 7),
    (str | None, "null", "null"),
    (dt.date, "2026-11-28", dt.date(2026, 11, 28)),
    (uuid.UUID, "12345678-1234-5678-1234-567812345678", uuid.UUID("12345678-1234-5678-1234-567812345678")),
    (Annotated[str, Meta(max_length=3)], "abc", "abc"),
]


@pytest.mark.parametrize(("annotation", "text", "value"), TEXTS)
@pytest.mark.parametrize("source", ["path", "query", "header", "cookie"])
def test_text_becomes_a_value_of_the_annotated_type_wherever_it_comes_from(annotation: Any, text: str, value: Any, source: str) -> None:
    marked = {"path": annotation, "query": annotation, "header": Annotated[annotation, Header()], "cookie": Annotated[annotation, Cookie()]}
    ctx = FakeContext(
        params={"it": text} if source == "path" else {},
        headers={"it": text} if source == "header" else {},
        cookies={"it": text} if source == "cookie" else {},
    )
    if source == "query":
        ctx.query, ctx.queries = {"it": text}, {"it": [text]}
    assert run(echo(marked[source]), "/{it}" if source == "path" else "/", ctx=ctx) == (value,)


@pytest.mark.parametrize("default", [False, True])
@pytest.mark.parametrize(
    ("annotation", "text", "expected"),
    [
        (int, "x", "int"),
        (int, "", "int"),
        (int, " 5", "int"),
        (int, "+5", "int"),
        (int, "1_0", "int"),
        (int, "007", "int"),
        (int, "1.0", "int"),
        (int, "1e3", "int"),
        (int, "١٢", "int"),
        (int, "²", "int"),
        (int, "9" * 5000, "another value (Integer value out of range)"),
        (SMALL, "10", "int <= 9"),
        (SMALL, "1e0", "int"),
        (float, "nan", "a finite float"),
        (float, "inf", "a finite float"),
        (float, "x", "float"),
        (bool, "yes", "true, false, 1 or 0"),
        (bool | None, "yes", "true | false | 1 | 0 | null"),
        (Color, "green", "one of 'red', 'blue'"),
        (Literal["a", "b"], "c", "one of 'a', 'b'"),
        (uuid.UUID, "1", "a valid UUID"),
        (dt.date, "yesterday", "a valid RFC3339 encoded date"),
        (Annotated[str, Meta(max_length=3)], "abcd", "str of length <= 3"),
    ],
)
def test_text_that_is_no_value_of_the_type_is_refused_with_what_was_expected(
    annotation: Any, text: str, expected: str, default: bool
) -> None:
    handler = echo(annotation, *([None] if default else []))
    ctx = FakeContext()
    ctx.query = {"it": text}
    with pytest.raises(BadRequestError) as caught:
        run(handler, ctx=ctx)
    (problem,) = caught.value.errors
    assert isinstance(problem, BadValue)
    assert isinstance(problem.value, str)
    assert problem.value.rstrip("…") in text
    assert (problem.source.value, problem.field, problem.expected) == ("query", "it", expected)


async def everything(
    id: int,  # noqa: A002
    page: SMALL,
    tag: list[int],
    x_trace: Annotated[int, Header()],
    sid: Annotated[int, Cookie("session")],
    post: Post,
) -> None:
    raise AssertionError("called in spite of bad values")


def test_all_bad_values_of_a_request_are_told_at_once() -> None:
    ctx = FakeContext(
        params={"id": "x"},
        query="page=0&tag=1&tag=b",
        headers={"x-trace": "t"},
        cookies={"session": "s3cret"},
        body=b'{"author":{"name":"","age":"1"},"tags":[1,"b",2],"day":"soon"}',
        content_type="application/json",
    )
    with pytest.raises(BadRequestError) as caught:
        run(everything, "/{id}", ctx=ctx)
    assert caught.value.problem.split("; ") == [
        "path id: expected int, got 'x'",
        "query page: expected int >= 1, got '0'",
        "query tag[1]: expected int, got 'b'",
        "header x-trace: expected int, got 't'",
        "cookie session: expected int, got '***'",
        "body title: expected str, got nothing",
        "body author.name: expected str of length >= 1, got ''",
        "body author.age: expected int, got '1'",
        "body tags[0]: expected str, got 1",
        "body tags[2]: expected str, got 2",
        "body day: expected a valid RFC3339 encoded date, got 'soon'",
    ]


@pytest.mark.parametrize(
    ("marker", "asked"),
    [
        (Cookie(), ("it", True, False)),
        (Cookie("sid", signed=False), ("sid", False, False)),
        (Cookie(encrypt=True), ("it", True, True)),
    ],
)
def test_a_cookie_counts_only_with_our_signature_unless_told(marker: Cookie, asked: tuple[str, bool, bool]) -> None:
    ctx = FakeContext(cookies={"it": "x", "sid": "x"})
    assert run(echo(Annotated[str, marker]), ctx=ctx) == ("x",)
    assert ctx.cookies.asked == [asked]


def test_clients_that_take_json_get_each_bad_value_by_itself() -> None:
    with pytest.raises(BadRequestError) as caught:
        run(everything, "/{id}", ctx=FakeContext(params={"id": "x"}, query="page=1&tag=1", headers={"x-trace": "1"}))
    told = msgspec.json.decode(msgspec.json.encode(caught.value.errors))
    assert told == [
        {"source": "path", "field": "id", "value": "x", "expected": "int"},
        {"source": "cookie", "field": "session", "expected": "int"},
        {"source": "body", "field": "", "expected": "an object"},
    ]


def test_a_missing_value_takes_the_default_and_without_one_is_refused() -> None:
    assert run(echo(int, 5)) == (5,)
    assert run(echo(str, "x")) == ("x",)
    assert run(echo(list[str], ())) == ((),)
    assert run(echo(Annotated[str, Header()], "h")) == ("h",)
    assert run(echo(Annotated[str, Cookie()], "c")) == ("c",)
    assert run(echo(Annotated[int | None, Cookie()], None)) == (None,)
    assert refused(echo(int), ctx=FakeContext()) == "query it: expected int, got nothing"
    assert refused(echo(int | None), ctx=FakeContext()) == "query it: expected int or null, got nothing"
    assert refused(echo(Color), ctx=FakeContext()) == "query it: expected one of 'red', 'blue', got nothing"
    assert refused(echo(str), ctx=FakeContext()) == "query it: expected str, got nothing"
    assert refused(echo(bool), ctx=FakeContext()) == "query it: expected true or false, got nothing"
    assert refused(echo(list[str]), ctx=FakeContext()) == "query it: expected list, got nothing"
    assert refused(echo(Annotated[str, Header("X-Y")]), ctx=FakeContext()) == "header x-y: expected str, got nothing"
    assert refused(echo(Annotated[str, Cookie()]), ctx=FakeContext()) == "cookie it: expected str, got nothing"


@pytest.mark.parametrize(
    ("annotation", "value"),
    [(list[str], ["1", "2"]), (list[int], [1, 2]), (set[int], {1, 2}), (tuple[int, ...], (1, 2)), (list[int] | None, [1, 2])],
)
def test_a_repeated_key_of_the_query_becomes_a_list(annotation: Any, value: Any) -> None:
    assert run(echo(annotation), ctx=FakeContext(query="it=1&it=2")) == (value,)


def test_a_struct_may_gather_the_query() -> None:
    handler = echo(Annotated[Page, Query()])
    assert run(handler, methods=("GET",)) == (Page(),)
    assert run(handler, ctx=FakeContext(query="number=3&sort=a&sort=b&number=4&size=")) == (Page(number=3, sort=["a", "b"]),)
    message = refused(handler, ctx=FakeContext(query="number=x&size=101"))
    assert message == "query number: expected int, got 'x'; query size: expected int <= 100, got '101'"


@pytest.mark.parametrize(
    ("converter", "annotation", "value"),
    [
        ("int", int, 5),
        ("int", float, 5),
        ("int", Any, 5),
        ("int", SMALL, 5),
        ("float", float, 5.5),
        ("uuid", uuid.UUID, uuid.UUID(int=1)),
        ("slug", Color, Color.RED),
        ("path", str, "a/b"),
    ],
)
def test_what_a_converter_of_the_path_made_is_given_as_it_is(converter: str, annotation: Any, value: Any) -> None:
    assert run(echo(annotation), f"/{{it:{converter}}}", ctx=FakeContext(params={"it": value})) == (value,)


async def bare(it):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    return (it,)


@pytest.mark.parametrize(("path", "value"), [("/{it}", "5"), ("/{it:path}", "a/b"), ("/{it:int}", 5), ("/{it:uuid}", uuid.UUID(int=1))])
def test_a_parameter_without_annotation_takes_what_the_path_has(path: str, value: Any) -> None:
    assert run(bare, path, ctx=FakeContext(params={"it": value})) == (value,)


def test_a_value_from_a_converter_keeps_to_the_limits_of_the_type() -> None:
    assert refused(echo(SMALL), "/{it:int}", ctx=FakeContext(params={"it": 10})) == "path it: expected int <= 9, got 10"


@pytest.mark.parametrize("name", ["pwd", "x_api_key", "accessKey", "private_key", "sessionId", "authorization"])
def test_what_looks_secret_is_not_told_back(name: str) -> None:
    assert refused(echo(Annotated[int, Query(name)]), ctx=FakeContext(query=f"{name}=hunter2")) == f"query {name}: expected int, got '***'"


def test_long_and_secret_values_are_not_told_back() -> None:
    assert len(refused(echo(int), ctx=FakeContext(query=f"it={'x' * 1000}"))) < 130
    handler = echo(Login)
    ctx = FakeContext(body=b'{"user":1,"password":"hunter2"}', content_type="application/json")
    assert refused(handler, ctx=ctx) == "body password: expected str of length >= 8, got '***'; body user: expected str, got 1"
