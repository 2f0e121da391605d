from __future__ import annotations

import asyncio
import datetime as dt
import functools
import uuid
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypedDict

import msgspec
import pytest
from msgspec import Meta
from tests.unit.app.binding.fakes import ExtendedContext, FakeApp, FakeContext, FakeRoute

from tamago.app.binding import BadValue, Body, Cookie, Header, Query, compile_handler
from tamago.app.errors import BadRequestError, HttpError, UnsupportedMediaTypeError
from tamago.core.context_class import Controller, Service

if TYPE_CHECKING:
    from somewhere import Context  # type: ignore[import-not-found]


class Color(Enum):
    RED = "red"
    BLUE = "blue"


class Author(msgspec.Struct):
    name: Annotated[str, Meta(min_length=1)]
    age: int = 0


class Post(msgspec.Struct):
    title: str
    author: Author
    tags: list[str] = []
    day: dt.date | None = None


class Page(msgspec.Struct):
    number: int = 1
    size: Annotated[int, Meta(le=100)] = 20
    sort: list[str] = []


@dataclass
class Point:
    x: int
    y: int = 0


class Login(TypedDict):
    user: str
    password: Annotated[str, Meta(min_length=8)]


class GreetingService(Service):
    made = 0

    def __init__(self, ctx: Any) -> None:
        super().__init__(ctx)
        type(self).made += 1

    def greet(self, name: str) -> str:
        return f"hello {name}"


class BaseController(Controller):
    async def who(self) -> str:
        return type(self).__name__


def logged(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    async def around(*values: Any, **more: Any) -> Any:
        return ["logged", await method(*values, **more)]

    return around


class PostController(BaseController):
    @logged
    async def decorated(self, *, word: str) -> str:
        return word

    async def show(self, id: int) -> dict[str, int]:  # noqa: A002 - as in the path
        return {"id": id}

    async def index(self) -> None:
        self.ctx.body = "set by hand"

    async def in_context(self, ctx: ExtendedContext, word: str) -> str:
        assert ctx is self.ctx
        return word


def run(handler: Callable[..., Any], path: str = "/", *, ctx: FakeContext | None = None, app: FakeApp | None = None, **route: Any) -> Any:
    """Return the body after one request."""
    app = app or FakeApp()
    ctx = ctx or FakeContext()
    endpoint = compile_handler(FakeRoute(handler=handler, path=path, **route), app=app)
    asyncio.run(endpoint(ctx))  # type: ignore[arg-type]
    return ctx.body


def refused(handler: Callable[..., Any], path: str = "/", *, ctx: FakeContext) -> str:
    """Return what the client is told."""
    with pytest.raises(BadRequestError) as caught:
        run(handler, path, ctx=ctx)
    assert caught.value.status == 400
    return caught.value.problem


# ── what is called, and what becomes of its result ───────────────────────────────────────────────────────────────────


def test_a_controller_is_made_for_the_request_and_its_method_gets_what_the_path_says() -> None:
    assert run(PostController.show, "/posts/{id}", ctx=FakeContext(params={"id": "12"})) == {"id": 12}


def test_a_handler_that_returns_none_has_set_the_body_itself() -> None:
    assert run(PostController.index) == "set by hand"


def test_an_inherited_method_is_called_on_the_controller_that_the_route_names() -> None:
    assert run(PostController.who, controller=PostController) == "PostController"
    assert run(PostController.who) == "BaseController"


def test_a_method_inside_a_decorator_still_knows_its_controller_and_parameters() -> None:
    assert run(PostController.decorated, "/{word}", ctx=FakeContext(params={"word": "x"})) == ["logged", "x"]


def test_the_context_comes_by_its_class_beside_other_parameters() -> None:
    assert run(PostController.in_context, "/{word}", ctx=ExtendedContext(params={"word": "x"})) == "x"


async def by_name(ctx):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    return ctx


async def by_class(request: FakeContext) -> Any:
    return request


async def by_name_only_typed(ctx: Context) -> Any:
    return ctx


@pytest.mark.parametrize("handler", [by_name, by_class, by_name_only_typed])
def test_a_function_gets_the_context_by_name_or_class(handler: Callable[..., Any]) -> None:
    ctx = FakeContext()
    assert run(handler, ctx=ctx) is ctx


async def stream(count: int = 2) -> AsyncIterator[bytes]:
    for number in range(count):
        yield b"%d" % number


def test_an_async_generator_becomes_the_body_with_its_parameters_checked_first() -> None:
    async def pieces() -> list[bytes]:
        ctx = FakeContext(query="count=3")
        await compile_handler(FakeRoute(handler=stream), app=FakeApp())(ctx)
        return [piece async for piece in ctx.body]

    assert asyncio.run(pieces()) == [b"0", b"1", b"2"]
    assert refused(stream, ctx=FakeContext(query="count=x")) == "query count: expected int, got 'x'"


async def greet(name: str, *, greeting: GreetingService) -> str:
    return greeting.greet(name)


def test_a_function_gets_a_service_by_its_class_the_same_as_from_the_context() -> None:
    app = FakeApp({"admin.greeting": GreetingService})
    ctx = FakeContext(params={"name": "you"}, app=app)
    before = GreetingService.made
    assert run(greet, "/{name}", ctx=ctx, app=app) == "hello you"
    assert isinstance(ctx.service.admin.greeting, GreetingService)
    assert GreetingService.made == before + 1


class Caller:
    async def __call__(self, ctx: FakeContext, word: str) -> str:
        return word


def test_an_object_with_an_async_call_is_a_handler() -> None:
    assert run(Caller(), "/{word}", ctx=FakeContext(params={"word": "x"})) == "x"


async def talk(ctx: FakeContext) -> str:
    return "dropped"


def test_what_a_websocket_handler_returns_is_no_body() -> None:
    ctx = FakeContext()
    run(talk, ctx=ctx, websocket=True)
    assert ctx.body is None


# ── path, query, header, cookie ──────────────────────────────────────────────────────────────────────────────────────


def echo(annotation: Any, *default: Any) -> Callable[..., Any]:
    """Return a handler whose one parameter `it` is of this type."""

    async def handler(it: Any) -> Any:
        return (it,)

    handler.__annotations__["it"] = annotation
    handler.__defaults__ = default
    return handler


SMALL = Annotated[int, Meta(ge=1, le=9)]
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
    (bool, "0", False),
    (Color, "red", Color.RED),
    (Literal["a", "b"], "b", "b"),
    (int | None, "7", 7),
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
        (bool, "maybe", "bool"),
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
    sid: Annotated[int, Cookie("session", signed=True)],
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
    assert ctx.cookies.asked[0] == ("session", True)


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
    assert refused(echo(str), ctx=FakeContext()) == "query it: expected str, got nothing"
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


def test_a_value_from_a_converter_keeps_to_the_limits_of_the_type() -> None:
    assert refused(echo(SMALL), "/{it:int}", ctx=FakeContext(params={"it": 10})) == "path it: expected int <= 9, got 10"


def test_long_and_secret_values_are_not_told_back() -> None:
    assert len(refused(echo(int), ctx=FakeContext(query=f"it={'x' * 1000}"))) < 130
    handler = echo(Login)
    ctx = FakeContext(body=b'{"user":1,"password":"hunter2"}', content_type="application/json")
    assert refused(handler, ctx=ctx) == "body password: expected str of length >= 8, got '***'; body user: expected str, got 1"


# ── body ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def json(text: str, content_type: str = "application/json") -> FakeContext:
    return FakeContext(body=text.encode(), content_type=content_type)


POST = Post(title="t", author=Author(name="a", age=3), tags=["x"])
POST_JSON = '{"title":"t","author":{"name":"a","age":3},"tags":["x"]}'


@pytest.mark.parametrize("content_type", ["application/json", "application/json; charset=utf-8", "application/vnd.api+json"])
def test_a_struct_is_made_from_json(content_type: str) -> None:
    assert run(echo(Post), ctx=json(POST_JSON, content_type)) == (POST,)


@pytest.mark.parametrize(
    ("annotation", "text", "value"),
    [
        (Point, '{"x":1}', Point(1)),
        (Login, '{"user":"u","password":"12345678"}', {"user": "u", "password": "12345678"}),
        (dict[str, int], '{"a":1}', {"a": 1}),
        (dict, '{"a":1}', {"a": 1}),
        (list[Point], '[{"x":1},{"x":2}]', [Point(1), Point(2)]),
        (Point | None, "null", None),
        (Annotated[list[int], Body()], "[1]", [1]),
        (Annotated[int, Body()], "1", 1),
        (Annotated[Any, Body()], "[1]", [1]),
    ],
)
def test_everything_msgspec_knows_is_made_from_json(annotation: Any, text: str, value: Any) -> None:
    assert run(echo(annotation), ctx=json(text)) == (value,)


def test_a_form_becomes_a_struct_with_its_texts_converted() -> None:
    form = "application/x-www-form-urlencoded"
    assert run(echo(Author), ctx=json("name=a&age=3", form)) == (Author(name="a", age=3),)
    assert run(echo(Page), ctx=json("sort=a&number=", form)) == (Page(sort=["a"]),)
    assert run(echo(dict[str, str]), ctx=json("a=1", form)) == ({"a": "1"},)
    assert refused(echo(Author), ctx=json("name=&age=x", form)) == "body name: expected str, got nothing; body age: expected int, got 'x'"


@pytest.mark.parametrize("annotation", [bytes, Annotated[bytes, Body()]])
def test_bytes_are_the_body_as_it_is(annotation: Any) -> None:
    assert run(echo(annotation), ctx=FakeContext(body=b"\xff", content_type="image/png")) == (b"\xff",)


def test_text_is_the_body_in_its_charset() -> None:
    ctx = FakeContext(body="ü".encode("latin-1"), content_type="text/plain; charset=latin-1")
    assert run(echo(Annotated[str, Body()]), ctx=ctx) == ("ü",)


def test_a_body_may_be_left_out_where_it_has_a_default() -> None:
    assert run(echo(Point | None, None)) == (None,)
    assert run(echo(Point | None, None), ctx=json('{"x":1}')) == (Point(1),)
    assert refused(echo(Point), ctx=FakeContext()) == "body: expected an object, got nothing"
    assert refused(echo(Point), ctx=json("")) == "body: expected an object, got nothing"


@pytest.mark.parametrize("content_type", ["text/plain", "multipart/form-data; boundary=x", ""])
def test_a_body_of_another_type_or_of_none_is_not_read(content_type: str) -> None:
    with pytest.raises(UnsupportedMediaTypeError) as caught:
        run(echo(Point), ctx=json('{"x":1}', content_type))
    assert caught.value.status == 415
    assert caught.value.problem.endswith("expected application/json or application/x-www-form-urlencoded")


@pytest.mark.parametrize("text", ["{", "[" * 100_000, '{"x":1}}', b'{"x":"\xff"}'])
@pytest.mark.parametrize("annotation", [Point, dict, Annotated[Any, Body()]])
def test_a_body_that_is_no_json_is_refused(annotation: Any, text: str | bytes) -> None:
    ctx = FakeContext(body=text if isinstance(text, bytes) else text.encode(), content_type="application/json")
    assert refused(echo(annotation), ctx=ctx).startswith("the body is not JSON: ")


class Listed(msgspec.Struct, forbid_unknown_fields=True):
    ids: list[int]


class Strict(msgspec.Struct, forbid_unknown_fields=True, rename="camel"):
    first_name: str
    numbers: dict[str, int] = {}

    def __post_init__(self) -> None:
        if self.first_name == "nobody":
            raise ValueError("nobody is no name")


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        ('{"firstName":"a","other":1}', ["body other: expected no such field, got 1"]),
        ('{"first_name":"a"}', ["body firstName: expected str, got nothing", "body first_name: expected no such field, got 'a'"]),
        ('{"firstName":"a","numbers":{"b":"c"}}', ["body numbers[...]: expected int, got '…'"]),
        ('{"firstName":"nobody"}', ["body: expected another value (nobody is no name), got 'an object of 1 fields'"]),
        ("[]", ["body: expected object, got '0 items'"]),
    ],
)
def test_unknown_fields_renamed_ones_and_checks_of_the_struct_itself_are_told(text: str, problems: list[str]) -> None:
    assert refused(echo(Strict), ctx=json(text)).split("; ") == problems


def test_of_very_many_problems_some_are_told() -> None:
    ctx = json(msgspec.json.encode({"title": "t", "author": {"name": "a"}, "tags": list(range(5000))}).decode())
    message = refused(echo(Post), ctx=ctx)
    assert message.endswith("; and more")
    assert len(message) < 2000


def test_a_name_that_a_client_made_up_is_cut() -> None:
    assert len(refused(echo(Strict), ctx=json(f'{{"firstName":"a","{"x" * 5000}":1}}'))) < 200


def test_a_struct_that_knows_all_its_fields_may_gather_lists_of_the_query() -> None:
    assert run(echo(Annotated[Listed, Query()]), ctx=FakeContext(query="ids=1&ids=2")) == (Listed(ids=[1, 2]),)
    ctx = FakeContext()
    ctx.queries = {"ids[]": ["1"], "ids": ["1"]}
    assert run(echo(Annotated[Listed, Query()]), ctx=ctx) == (Listed(ids=[1]),)


# ── errors that are nobody's request ─────────────────────────────────────────────────────────────────────────────────


async def broken(number: int) -> None:
    raise ValueError(f"a bug with {number}")


def test_a_value_error_of_the_handler_is_not_the_clients_fault() -> None:
    with pytest.raises(ValueError, match="a bug with 5"):
        run(broken, ctx=FakeContext(query="number=5"))


def test_an_error_that_no_bad_value_explains_comes_through() -> None:
    class Broken(FakeContext):
        async def raw_body(self) -> bytes:
            raise ValueError("a bug")

    with pytest.raises(ValueError, match="a bug"):
        run(echo(Point), ctx=Broken(content_type="application/json"))


def test_an_answer_raised_while_the_body_is_read_comes_through() -> None:
    class TooLarge(FakeContext):
        async def raw_body(self) -> bytes:
            raise HttpError(413)

    with pytest.raises(HttpError) as caught:
        run(echo(Point), ctx=TooLarge(content_type="application/json"))
    assert caught.value.status == 413
