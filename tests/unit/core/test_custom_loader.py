from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.unit.core.disk import Disk, temporary

from tamago.core.custom_loader import CustomLoader, Inject, install, load_custom, read_custom_loaders
from tamago.core.load_error import LoadError

REPOSITORY = "class {name}Repository:\n def __init__(self, owner): self.owner = owner\n"


class App:
    router = 1


class Context:
    query = 1


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    with temporary(tmp_path) as disk:
        yield disk


def test_an_entry_needs_a_directory_only() -> None:
    loaders = read_custom_loaders({"repository": {"directory": "app/repository"}}, App(), Context)
    assert loaders == {"repository": CustomLoader(directory="app/repository", inject=Inject.APP, loadunit=False)}


def test_all_wrong_entries_are_reported_at_once() -> None:
    config = {
        "a": {"inject": "ctx"},
        "b": {"directory": "app/b", "inject": "request"},
        "c": {"directory": "app/c", "load_unit": True},
        "d": {"directory": "../d"},
        "E": {"directory": "app/e"},
        "router": {"directory": "app/router"},
        "query": {"directory": "app/query", "inject": "ctx"},
        "f": "app/f",
    }
    with pytest.raises(LoadError) as caught:
        read_custom_loaders(config, App(), Context)
    assert [problem.partition(":")[0] for problem in caught.value.problems] == [f"custom_loader.{name}" for name in config]
    assert "missing required field `directory`" in caught.value.problems[0]
    assert "load_unit" in caught.value.problems[2]
    assert "it would hide app.router" in caught.value.problems[5]
    assert "it would hide ctx.query" in caught.value.problems[6]


def test_a_name_taken_on_the_application_is_free_on_the_context() -> None:
    assert "router" in read_custom_loaders({"router": {"directory": "app/x", "inject": "ctx"}}, App(), Context)


def loaded(disk: Disk, **entry: Any) -> tuple[Any, Any]:
    plugin = disk.plugin("cache", {"app/repository/cache.py": REPOSITORY.format(name="Cache")})
    unit = disk.app({"app/repository/post.py": REPOSITORY.format(name="Post"), "app/repository/deep/er.py": REPOSITORY.format(name="Er")})
    app, context = type("App", (App,), {})(), type("Context", (Context,), {})
    loaders = read_custom_loaders({"repository": {"directory": "app/repository", **entry}}, app, context)
    install(load_custom(loaders, [plugin, unit]), app, context)
    return app, context()


def test_classes_of_the_application_are_made_once_with_it(disk: Disk) -> None:
    app, ctx = loaded(disk)
    assert app.repository.post is app.repository.post
    assert app.repository.post.owner is app
    assert app.repository.deep.er.owner is app
    assert not hasattr(ctx, "repository")


def test_classes_of_a_context_are_made_once_for_each(disk: Disk) -> None:
    app, ctx = loaded(disk, inject="ctx")
    assert ctx.repository.post is ctx.repository.post
    assert ctx.repository.post.owner is ctx
    assert type(ctx)().repository.post is not ctx.repository.post
    assert not hasattr(app, "repository")


def test_plugins_are_looked_into_if_that_is_asked_for(disk: Disk) -> None:
    app, _ = loaded(disk, loadunit=True)
    assert type(app.repository.cache).__module__ == "cache.app.repository.cache"


def test_plugins_are_not_looked_into_otherwise(disk: Disk) -> None:
    app, _ = loaded(disk)
    with pytest.raises(AttributeError, match=r"there is no `repository\.cache`"):
        _ = app.repository.cache


def test_a_class_that_cannot_be_made_with_the_application_fails_the_start(disk: Disk) -> None:
    unit = disk.app({"app/job/bad.py": "class Bad:\n def __init__(self, app): raise LookupError('no queue')"})
    app = type("App", (App,), {})()
    loaders = read_custom_loaders({"job": {"directory": "app/job"}}, app, Context)
    with pytest.raises(LookupError, match="no queue"):
        install(load_custom(loaders, [unit]), app, Context)


@pytest.mark.parametrize("inject", ["app", "ctx"])
def test_a_class_with_another_constructor_fails_the_start_also_for_contexts(disk: Disk, inject: str) -> None:
    unit = disk.app({"app/job/bad.py": "class Bad: ..."})
    loaders = read_custom_loaders({"job": {"directory": "app/job", "inject": inject}}, App(), Context)
    with pytest.raises(LoadError) as caught:
        load_custom(loaders, [unit])
    place = unit.directory / "app/job/bad.py"
    assert caught.value.problem == f"Bad({inject}) cannot be made: too many positional arguments ({place}:1)"


def test_directories_that_do_not_exist_are_reported_all_at_once(disk: Disk) -> None:
    unit = disk.app({"app/job/good.py": "class Good:\n def __init__(self, app): ...", "app/file.py": ""})
    config = {name: {"directory": f"app/{name}"} for name in ("repository", "job", "file")}
    loaders = read_custom_loaders(config, App(), Context)
    with pytest.raises(LoadError) as caught:
        load_custom(loaders, [unit])
    app = unit.directory / "app"
    assert caught.value.problems == (
        f"custom_loader.repository: there is no directory {app / 'repository'}",
        f"custom_loader.file: there is no directory {app / 'file'}",
    )


def test_a_directory_may_be_missing_where_all_units_are_looked_into(disk: Disk) -> None:
    plugin = disk.plugin("cache", {})
    loaders = read_custom_loaders({"repository": {"directory": "app/repository", "loadunit": True}}, App(), Context)
    (found,) = load_custom(loaders, [plugin, disk.app({})])
    assert found.tree.flat() == {}
