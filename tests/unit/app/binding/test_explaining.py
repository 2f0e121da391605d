from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Annotated, Any, Literal, NotRequired, TypedDict
from uuid import UUID

import msgspec
import pytest
from hypothesis import given, strategies as st
from msgspec import Meta
from tests.unit.app.binding.calling import echo, json, refused, run
from tests.unit.app.binding.models import SMALL, Author, Color, Login, Point, Post

from tamago.app.binding import Body
from tamago.app.binding.explaining import reasons


class Cat(msgspec.Struct, tag=True):
    lives: int


class Dog(msgspec.Struct, tag=True):
    name: str


class Tree(msgspec.Struct):
    value: int
    children: list[Tree] = []


class Row(msgspec.Struct, array_like=True):
    id: int
    name: str = ""


class Some(TypedDict):
    must: int
    may: NotRequired[int]


@dataclass
class Team:
    members: list[Author] = field(default_factory=list)
    captain: Author | None = None


TYPES: list[Any] = [
    Author, Post, Point, Login, Some, Tree, Row, Team, Color, SMALL, Cat | Dog, list[Cat | Dog], dict[int, Point], dict[str, list[Author]],
    list[Author] | None, tuple[int, str], tuple[Point, ...], set[int], int | str | None, Literal["a", 1], dt.datetime, Decimal, UUID, bytes,
    Annotated[list[int], Meta(max_length=2)], list[Annotated[str, Meta(pattern="^a")]],
]  # fmt: skip

FIELDS = [
    "title",
    "author",
    "tags",
    "name",
    "age",
    "x",
    "y",
    "value",
    "children",
    "type",
    "lives",
    "members",
    "captain",
    "must",
    "may",
    "1",
]
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(["", "a", "1", "Cat", "red"])
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(FIELDS), inner, max_size=4), max_leaves=8
)


def body_of(annotation: Any) -> Any:
    return echo(Annotated[annotation, Body()])


@given(annotation=st.sampled_from([each for each in TYPES if each is not bytes]), value=VALUES)
def test_a_body_is_refused_with_a_reason_or_is_a_value_of_the_type(annotation: Any, value: Any) -> None:
    text = msgspec.json.encode(value).decode()
    try:
        expected = msgspec.json.decode(text, type=annotation)
    except msgspec.ValidationError:
        assert refused(body_of(annotation), ctx=json(text))
    else:
        assert run(body_of(annotation), ctx=json(text)) == (expected,)


@given(annotation=st.sampled_from(TYPES), value=VALUES, strict=st.booleans())
def test_there_are_reasons_exactly_if_msgspec_refuses_the_value(annotation: Any, value: Any, strict: bool) -> None:
    try:
        msgspec.convert(value, annotation, strict=strict, str_keys=True)
    except msgspec.ValidationError:
        assert reasons(value, annotation, strict=strict)
    else:
        assert reasons(value, annotation, strict=strict) == []


@pytest.mark.parametrize(
    ("annotation", "value", "told"),
    [
        (
            Tree,
            {"value": 1, "children": [{"value": "a"}, {"children": [{}]}]},
            ["children[0].value", "children[1].value", "children[1].children[0].value"],
        ),
        (Team, {"members": [{"name": "a"}, {"name": 1}], "captain": {"age": "x"}}, ["members[1].name", "captain.name", "captain.age"]),
        (list[Author] | None, [{"name": 1}], ["[0].name"]),
        (Cat | Dog, {"type": "Cat", "lives": "x"}, ["lives"]),
        (Cat | Dog, {"type": "Cow"}, ["type"]),
        (Row, ["x"], ["[0]"]),
        (Some, {"may": "x"}, ["may", "must"]),
        (dict[str, list[Author]], {"a": [{"name": 5}]}, ["[...][0].name"]),
    ],
)
def test_each_reason_says_where(annotation: Any, value: Any, told: list[str]) -> None:
    assert [reason.place for reason in reasons(value, annotation, strict=True)] == told


def test_a_value_that_is_wrong_everywhere_is_looked_at_for_a_while_only() -> None:
    nested: Any = "x"
    for _ in range(500):
        nested = {"value": 0, "children": [nested]}
    assert len(reasons({"value": "a", "children": [{"value": "b"}] * 5000}, Tree, strict=True)) == 21
    assert len(reasons(nested, Tree, strict=True)) == 1


def test_of_what_is_very_deep_the_first_reason_is_told_with_its_place() -> None:
    nested: Any = {}
    for _ in range(30):
        nested = {"value": 0, "children": [nested]}
    (reason,) = reasons(nested, Tree, strict=True)
    assert (reason.place, reason.expected) == (".".join(["children[0]"] * 30), "a field value")
