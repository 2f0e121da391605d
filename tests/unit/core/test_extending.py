from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.unit.core.disk import Disk, temporary

from tamago.core.context_class import Service
from tamago.core.extending import ComposeError, check_extend_files, compose, find_extends
from tamago.core.load_error import LoadError


class Base:
    """The base."""

    app: Any = None

    def who(self) -> list[str]:
        return ["base"]


class Plugin:
    def who(self) -> list[str]:
        return ["plugin", *super().who()]  # type: ignore[misc]


class Framework(Base):
    def who(self) -> list[str]:
        return ["framework", *super().who()]


class App:
    extra = 1

    def who(self) -> list[str]:
        return ["app", *super().who()]  # type: ignore[misc]


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    with temporary(tmp_path) as disk:
        yield disk


def test_the_application_wins_over_the_framework_and_that_over_plugins() -> None:
    composed = compose("Context", Base, [Plugin, Framework, App])
    assert composed().who() == ["app", "framework", "plugin", "base"]
    assert issubclass(composed, Base)
    assert composed.__name__ == "Context"
    assert composed.__doc__ == "The base."


def test_a_class_composed_of_nothing_is_still_a_new_class() -> None:
    one = compose("Context", Base, [], {"app": "first"})
    other = compose("Context", Base, [], {"app": "second"})
    assert (one().app, other().app, Base.app) == ("first", "second", None)


def test_an_extend_of_another_class_of_the_framework_is_refused() -> None:
    class Context(Service): ...

    with pytest.raises(
        ComposeError, match=r"Context cannot be combined: it derives from tamago\.core\.context_class\.Service, and not from Base"
    ):
        compose("Context", Base, [Context])


def test_an_extend_given_twice_counts_once() -> None:
    assert compose("Context", Base, [Plugin, App, Plugin])().who() == ["plugin", "app", "base"]
    assert compose("Context", Base, [Plugin, Plugin])().who() == ["plugin", "base"]


def test_classes_python_cannot_order_are_refused_with_their_files() -> None:
    class Below(Plugin):
        pass

    with pytest.raises(ComposeError) as caught:
        compose("Context", Base, [Below, Plugin])
    assert "the extends of Context cannot be combined: Cannot create a consistent method resolution order (MRO): " in caught.value.problem
    assert f"Plugin ({__file__})" in caught.value.problem


def test_slots_that_do_not_fit_together_are_refused() -> None:
    class One:
        __slots__ = ("a",)

    class Two:
        __slots__ = ("b",)

    with pytest.raises(ComposeError, match="lay-out conflict"):
        compose("Context", Base, [One, Two])


class Made:
    def __init__(self, exchange: int, route: int, *, more: int = 1) -> None:
        self.got = (exchange, route, more)


class MadeMore:
    def __init__(self, *arguments: int, **named: int) -> None:
        super().__init__(*arguments, **named)
        self.extended = True


class MadeOtherwise:
    def __init__(self) -> None: ...


def test_an_extend_may_have_a_constructor_that_takes_what_the_base_is_made_with() -> None:
    assert compose("Context", Made, [MadeMore])(1, 2).got == (1, 2, 1)


def test_an_extend_whose_constructor_takes_something_else_is_refused_with_its_line() -> None:
    with pytest.raises(LoadError) as caught:
        compose("Context", Made, [MadeOtherwise])
    line = MadeOtherwise.__init__.__code__.co_firstlineno
    assert caught.value.problem == f"Context(exchange, route) cannot be made: too many positional arguments ({__file__}:{line})"
    assert caught.value.hint == "an extend with a constructor of its own takes what that of Context takes: exchange, route"


def test_a_base_is_no_extend_of_itself() -> None:
    with pytest.raises(ComposeError, match="Base is a base of Framework already"):
        compose("Context", Framework, [Base])


def test_extends_come_in_unit_order_and_those_of_the_environment_last(disk: Disk) -> None:
    plugin = disk.plugin("cache", {"app/extend/context.py": "class Context: pass", "app/extend/context_prod.py": "class Context: pass"})
    app = disk.app({"app/extend/context.py": "class Context: pass", "app/extend/context_local.py": "class Context: pass"})
    assert [found.__module__ for found in find_extends([plugin, app], "context", "prod")] == [
        "cache.app.extend.context",
        "app.extend.context",
        "cache.app.extend.context_prod",
    ]


def test_there_need_be_no_extends(disk: Disk) -> None:
    assert find_extends([disk.app({})], "context", "prod") == []


@pytest.mark.parametrize("text", ["", "Context = 1", "from collections import OrderedDict as Context", "class Ctx: pass"])
def test_a_file_that_does_not_define_the_class_is_refused(disk: Disk, text: str) -> None:
    app = disk.app({"app/extend/context.py": text})
    with pytest.raises(LoadError) as caught:
        find_extends([app], "context", "prod")
    assert caught.value.problems == (f"{app.directory / 'app/extend/context.py'} does not define a class Context",)


def test_files_that_extend_nothing_are_refused_together(disk: Disk) -> None:
    app = disk.app(
        {"app/extend/contexts.py": "", "app/extend/helper.py": "", "app/extend/request_prod.py": "", "app/extend/context/user.py": ""}
    )
    with pytest.raises(LoadError) as caught:
        check_extend_files([app])
    assert [Path(problem.split()[0]).name for problem in caught.value.problems] == ["user.py", "contexts.py"]
    assert "did you mean 'context'?" in caught.value.problem
