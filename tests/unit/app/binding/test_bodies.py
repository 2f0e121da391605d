from __future__ import annotations

from typing import Annotated, Any

import msgspec
import pytest
from tests.unit.app.binding.calling import echo, json, refused, run
from tests.unit.app.binding.fakes import FakeContext
from tests.unit.app.binding.models import Author, Login, Page, Point, Post

from tamago.app.binding import Body, Query
from tamago.app.errors import UnsupportedMediaTypeError

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


class Todo(msgspec.Struct):
    done: bool
    urgent: bool | None = None


def test_a_bool_is_said_to_be_what_its_document_takes() -> None:
    form = "application/x-www-form-urlencoded"
    told = "body done: expected {}, got 'yes'; body urgent: expected {}, got 'no'"
    assert refused(echo(Todo), ctx=json('{"done":"yes","urgent":"no"}')) == told.format("true or false", "true | false | null")
    assert refused(echo(Todo), ctx=json("done=yes&urgent=no", form)) == told.format("true, false, 1 or 0", "true | false | 1 | 0 | null")
    assert refused(echo(Todo), ctx=json("{}")) == "body done: expected true or false, got nothing"


@pytest.mark.parametrize("text", ["{", "[" * 100_000, '{"x":1}}', b'{"x":"\xff"}'])
@pytest.mark.parametrize("annotation", [Point, dict, Annotated[Any, Body()]])
def test_a_body_that_is_no_json_is_refused(annotation: Any, text: str | bytes) -> None:
    ctx = FakeContext(body=text if isinstance(text, bytes) else text.encode(), content_type="application/json")
    assert refused(echo(annotation), ctx=ctx).startswith("the body is not JSON: ")


def test_a_field_that_is_there_twice_and_wrong_once_is_refused() -> None:
    assert refused(echo(Point), ctx=json('{"x":"a","x":1}')) == "Expected `int`, got `str` - at `$.x`"


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
        ('{"firstName":"nobody"}', ["body: expected another value (nobody is no name), got an object of 1 field"]),
        ("null", ["body: expected object, got null"]),
        ('{"firstName":null}', ["body firstName: expected str, got null"]),
        ('{"firstName":true}', ["body firstName: expected str, got true"]),
        ('{"firstName":"a","numbers":[1]}', ["body numbers: expected object, got an array of 1 item"]),
        ("[]", ["body: expected object, got an array of 0 items"]),
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
