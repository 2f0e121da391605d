"""What is seen inside of a type of a model."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Annotated, Any, Literal

import msgspec
import pytest

from tamago.core.config_problems import Problem, find_problems, struct_of, type_at


class Leaf(msgspec.Struct, frozen=True):
    size: int = 1


class Other(msgspec.Struct, frozen=True):
    name: str = ""


class Tree(msgspec.Struct, frozen=True, rename={"right": "rechts"}):
    left: Leaf = Leaf()
    right: Annotated[Leaf | None, msgspec.Meta(description="optional")] = None
    named: Mapping[str, Leaf] = {}
    few: Annotated[list[int], msgspec.Meta(max_length=2)] = []
    either: int | Leaf = 0


@pytest.mark.parametrize(
    ("wanted", "struct"),
    [
        (Leaf, Leaf),
        (Leaf | None, Leaf),
        (Annotated[Leaf, msgspec.Meta(description="x")], Leaf),
        (Annotated[Leaf | None, msgspec.Meta(description="x")], Leaf),
        (Leaf | Other, None),
        (Leaf | int, None),
        (list[Leaf], None),
        (dict[str, Leaf], None),
        (int, None),
        (Any, None),
    ],
    ids=str,
)
def test_the_model_of_a_type_is_the_one_it_certainly_is(wanted: Any, struct: object) -> None:
    assert struct_of(wanted) is struct


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        (("left", "size"), int),
        (("rechts", "size"), int),
        (("named", "any", "size"), int),
        (("right",), None),
        (("left", "size", "deeper"), None),
        (("few", "0"), None),
    ],
)
def test_the_type_at_a_path(path: tuple[str, ...], wanted: object) -> None:
    assert type_at(Tree, path) is wanted


def test_every_problem_is_found_wherever_it_is() -> None:
    value = {"left": {"size": "x"}, "rechts": {"siz": 1}, "named": {"a": {"size": None}}, "few": [1, 2, 3], "either": "x", "recht": 1}
    assert list(find_problems(value, Tree)) == [
        Problem(path=("left", "size"), text="expected int, got str", value="x"),
        Problem(path=("rechts", "siz"), text="there is no such key in Leaf; did you mean size?"),
        Problem(path=("named", "a", "size"), text="expected int, got None", value=None),
        Problem(path=("few",), text="expected list of length <= 2", value=[1, 2, 3]),
        Problem(path=("either",), text="expected int | dict, got str", value="x"),
        Problem(path=("recht",), text="there is no such key in Tree; did you mean rechts?"),
    ]


class Color(Enum):
    RED = "red"
    BLUE = "blue"


@pytest.mark.parametrize("wanted", [Color, Color | None, Literal["red", "blue"], Literal["red", "blue"] | None])
def test_of_a_choice_it_is_said_what_there_is(wanted: Any) -> None:
    assert list(find_problems("green", wanted)) == [Problem(path=(), text="expected one of 'red', 'blue'", value="green")]


def test_what_is_right_has_no_problems() -> None:
    value = {"left": {}, "rechts": None, "named": {"a": {"size": 3}}, "few": (1, 2), "either": {"size": 2}}
    assert list(find_problems(value, Tree)) == []
