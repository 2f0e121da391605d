"""What runs when something is called, and whether a class can be made."""

from __future__ import annotations

import abc
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import pytest

from tamago.core.called import constructor_problem
from tamago.core.context_class import Service


class Own(Service):
    def __init__(self, ctx: Any) -> None:
        super().__init__(ctx)


class WithDefault(Service):
    def __init__(self, ctx: Any, *more: Any, size: int = 1) -> None:
        super().__init__(ctx)
        self.more, self.size = more, size


@dataclass
class Data:
    ctx: Any


class Made:
    def __new__(cls, ctx: Any) -> Self:
        return super().__new__(cls)


class Abstract(abc.ABC):
    """Only its subclasses are made."""

    def __init__(self, ctx: Any, table: str) -> None:
        self.ctx, self.table = ctx, table

    @abc.abstractmethod
    def find(self) -> None: ...


@pytest.mark.parametrize("cls", [Service, Own, WithDefault, Data, Made, Abstract, int, dict])
def test_what_can_be_made_with_a_context_is_right(cls: type) -> None:
    assert constructor_problem(cls, "ctx") == ""


class Without(Service):
    def __init__(self) -> None:
        """Forget the context."""


class Wants(Service):
    def __init__(self, ctx: Any, table: str) -> None: ...


class Keyword(Service):
    def __init__(self, *, ctx: Any) -> None: ...


class Inherits(Wants): ...


class Nothing: ...


@dataclass
class Empty: ...


def line_with(start: str) -> int:
    lines = Path(__file__).read_text().splitlines()
    return 1 + next(at for at, line in enumerate(lines) if line.startswith(start))


def line_of(function: Any) -> int:
    code: int = function.__code__.co_firstlineno
    return code


@pytest.mark.parametrize(
    ("cls", "why", "line"),
    [
        (Without, "too many positional arguments", line_of(Without.__init__)),
        (Wants, "missing a required argument: 'table'", line_of(Wants.__init__)),
        (Keyword, "too many positional arguments", line_of(Keyword.__init__)),
        (Inherits, "missing a required argument: 'table'", line_of(Wants.__init__)),
        (Nothing, "too many positional arguments", line_with("class Nothing")),
        (Empty, "too many positional arguments", line_with("class Empty") - 1),
    ],
)
def test_what_cannot_is_named_with_the_line_to_correct(cls: type, why: str, line: int) -> None:
    assert constructor_problem(cls, "ctx") == f"{cls.__name__}(ctx) cannot be made: {why} ({__file__}:{line})"


def test_a_class_whose_source_is_not_there_is_named_with_its_module() -> None:
    cls = type("Lost", (), {"__module__": "nowhere"})
    assert constructor_problem(cls, "ctx") == "Lost(ctx) cannot be made: too many positional arguments (nowhere)"
