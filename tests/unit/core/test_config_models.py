"""Who declares the model of a part, and what it defaults to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.unit.core.config_disk import Project, project

from tamago.core.config_errors import ConfigError
from tamago.core.config_models import collect_models, default_layers


class Rotate(msgspec.Struct, frozen=True):
    size: int = 10
    keep: tuple[str, ...] = ()


class Sink(msgspec.Struct, frozen=True, tag="sink"):
    path: str = "/dev/null"


class Logger(msgspec.Struct, frozen=True, rename={"directory": "dir"}):
    directory: str
    level: str = "INFO"
    rotate: Rotate = Rotate()
    custom: dict[str, Rotate] = {}
    sinks: list[Sink] = msgspec.field(default_factory=lambda: [Sink()])
    path: Path = Path("/x")
    more: Rotate | None = None


@pytest.fixture(name="blog")
def _blog(tmp_path: Path) -> Iterator[Project]:
    with project(tmp_path) as made:
        yield made


def models(blog: Project, source: str) -> dict[str, type[msgspec.Struct]]:
    blog.write("config/models.py", "import msgspec\n" + source)
    return collect_models([blog.app()])


def test_models_are_gathered_from_plugins_and_units(blog: Project) -> None:
    blog.write(
        "plugins/db/__init__.py",
        "import msgspec\nfrom tamago.core.plugin import Plugin\n"
        "class DbConfig(msgspec.Struct, frozen=True):\n    url: str\n"
        "plugin = Plugin(name='db', config=DbConfig)\n",
    )
    blog.write("config/plugin.py", "plugins = {'db': {'path': 'plugins/db'}}")
    blog.write("config/models.py", "import msgspec\nclass Mail(msgspec.Struct, frozen=True): ...\nmodels = {'mail': Mail}")
    found = blog.plugins()
    gathered = collect_models((*found.units(), blog.app()), found.enabled)
    assert {part: model.__name__ for part, model in gathered.items()} == {"db": "DbConfig", "mail": "Mail"}


def test_a_later_unit_may_extend_a_model(blog: Project) -> None:
    framework = blog.framework("fw")
    blog.install("fw/config/models.py", "import msgspec\nclass Log(msgspec.Struct, frozen=True): ...\nmodels = {'log': Log}")
    blog.write("config/models.py", "from fw.config.models import Log\nclass More(Log, frozen=True): ...\nmodels = {'log': More}")
    assert collect_models([framework, blog.app()])["log"].__name__ == "More"


def test_a_later_unit_may_not_replace_a_model(blog: Project) -> None:
    framework = blog.framework("fw")
    blog.install("fw/config/models.py", "import msgspec\nclass Log(msgspec.Struct, frozen=True): ...\nmodels = {'log': Log}")
    blog.write("config/models.py", "import msgspec\nclass Mine(msgspec.Struct, frozen=True): ...\nmodels = {'log': Mine}")
    with pytest.raises(
        ConfigError, match=r"'log' has two models, Log \(.*fw/config/models.py\) and Mine \(.*blog/config/models.py\); derive"
    ):
        collect_models([framework, blog.app()])


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("models = []", r"models \(.*\) must be a dict such as"),
        ("models = {'a': dict}", "the model of 'a' .* must be a class derived from msgspec.Struct, not <class 'dict'>"),
        ("models = {'a': 3}", "must be a class derived from msgspec.Struct, not 3"),
        ("class A(msgspec.Struct): ...\nmodels = {'a': A}", "the model A of 'a' .* can be written to; declare it with frozen=True"),
        (
            "class In(msgspec.Struct): ...\nclass A(msgspec.Struct, frozen=True):\n    x: dict[str, list[In]] = {}\nmodels = {'a': A}",
            "the model In of 'a' .* can be written to",
        ),
        (
            "class A(msgspec.Struct, frozen=True):\n    x: str | dict | bytes | list | set\nmodels = {'a': A}",
            "the model A of 'a' .* cannot be checked",
        ),
        (
            "class A(msgspec.Struct, frozen=True):\n    x: 'Nowhere'\nmodels = {'a': A}",
            "the model A of 'a' .* cannot be checked: name 'Nowhere' is not defined",
        ),
    ],
)
def test_a_model_that_cannot_be_used_is_an_error(blog: Project, source: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        models(blog, source)


def test_all_models_that_cannot_be_used_are_told_at_once(blog: Project) -> None:
    with pytest.raises(ConfigError) as caught:
        models(blog, "class A(msgspec.Struct): ...\nmodels = {'a': A, 'b': int, 'c': 3}")
    assert len(caught.value.problems) == 3


def test_a_model_may_contain_itself(blog: Project) -> None:
    source = "class A(msgspec.Struct, frozen=True):\n    inner: 'A | None' = None\nmodels = {'a': A}"
    assert set(models(blog, source)) == {"a"}


def test_defaults_are_a_layer_of_plain_values_that_merge() -> None:
    (layer,) = default_layers({"logger": Logger})
    assert layer.origin == f"default of Logger ({__file__})"
    assert layer.defines
    expected: dict[str, Any] = {
        "level": "INFO",
        "rotate": {"size": 10, "keep": ()},
        "custom": {},
        "sinks": [{"type": "sink", "path": "/dev/null"}],
        "path": Path("/x"),
        "more": None,
    }
    assert layer.values == {"logger": expected}
    assert msgspec.convert({**expected, "dir": "/y"}, Logger, strict=True) == Logger(directory="/y")
