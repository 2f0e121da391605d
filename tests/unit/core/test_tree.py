from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.unit.core.disk import Disk, temporary

from tamago.core.context_class import Service
from tamago.core.finding import find_modules
from tamago.core.importing import BrokenFileError
from tamago.core.load_error import LoadError
from tamago.core.tree import Tree, collect

SERVICE = "from tamago.core.context_class import Service\nclass {name}Service(Service): home = __name__\n"


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    with temporary(tmp_path) as disk:
        yield disk


def test_services_of_all_units_are_one_tree(disk: Disk) -> None:
    plugin = disk.plugin("cache", {"app/service/cache.py": SERVICE.format(name="Cache")})
    app = disk.app({"app/service/user.py": SERVICE.format(name="User"), "app/service/admin/role.py": SERVICE.format(name="Role")})
    tree = collect([plugin, app], "service", Service, "Service")
    homes = {name: vars(found)["home"] for name, found in tree.flat().items()}
    assert homes == {"cache": "cache.app.service.cache", "user": "app.service.user", "admin.role": "app.service.admin.role"}
    admin = tree["admin"]
    assert isinstance(admin, Tree)
    assert list(admin) == ["role"]


def test_a_service_two_units_define_is_refused_with_both_files(disk: Disk) -> None:
    plugin = disk.plugin("cache", {"app/service/foo.py": SERVICE.format(name="Foo")})
    app = disk.app({"app/service/foo.py": SERVICE.format(name="Foo")})
    with pytest.raises(LoadError) as caught:
        collect([plugin, app], "service", Service, "Service")
    first, second = plugin.directory / "app/service/foo.py", app.directory / "app/service/foo.py"
    assert caught.value.problems == (f"`service.foo` is defined twice: in {first} and in {second}",)


def test_all_names_two_units_define_are_reported_at_once(disk: Disk) -> None:
    files = {"app/service/foo.py": "", "app/service/a/b.py": ""}
    plugin = disk.plugin("cache", files)
    app = disk.app(files)
    with pytest.raises(LoadError) as caught:
        find_modules([plugin, app], "app/service")
    assert len(caught.value.problems) == 2


def test_a_later_unit_takes_the_place_of_an_earlier_one_where_that_is_meant(disk: Disk) -> None:
    plugin = disk.plugin("cache", {"app/middleware/gzip.py": "", "app/middleware/etag.py": ""})
    app = disk.app({"app/middleware/gzip.py": ""})
    found = find_modules([plugin, app], "app/middleware", override=True)
    assert [item.module for item in found] == ["cache.app.middleware.etag", "app.middleware.gzip"]


@pytest.mark.parametrize("override", [True, False])
def test_a_name_is_not_a_service_in_one_unit_and_a_directory_in_another(disk: Disk, override: bool) -> None:
    plugin = disk.plugin("cache", {"app/service/user.py": ""})
    app = disk.app({"app/service/user/profile.py": ""})
    with pytest.raises(LoadError) as caught:
        find_modules([plugin, app], "app/service", override=override)
    assert "`service.user` cannot be both" in caught.value.problem
    assert str(plugin.directory / "app/service/user.py") in caught.value.problem
    assert str(app.directory / "app/service/user/profile.py") in caught.value.problem


def test_all_files_without_a_service_are_reported_at_once(disk: Disk) -> None:
    app = disk.app({"app/service/a.py": "", "app/service/b.py": "", "app/service/c.py": SERVICE.format(name="C")})
    with pytest.raises(LoadError) as caught:
        collect([app], "service", Service, "Service")
    assert [problem.rpartition("/")[2] for problem in caught.value.problems] == [
        "a.py defines no subclass of Service",
        "b.py defines no subclass of Service",
    ]


def test_a_service_that_does_not_compile_names_file_and_line(disk: Disk) -> None:
    app = disk.app({"app/service/a.py": "class"})
    with pytest.raises(BrokenFileError, match=r"app/service/a\.py:1: "):
        collect([app], "service", Service, "Service")


def test_no_units_make_an_empty_tree(disk: Disk) -> None:
    assert dict(collect([disk.app({})], "service", Service, "Service")) == {}


def test_all_classes_that_cannot_be_made_with_a_context_are_reported_with_their_lines(disk: Disk) -> None:
    wrong = SERVICE.replace("home = __name__", "\n    def __init__(self{more}): ...\n")
    files = {name: wrong.format(name=name.capitalize(), more=more) for name, more in {"a": "", "b": ", ctx, table", "c": ", ctx"}.items()}
    app = disk.app({f"app/service/{name}.py": text for name, text in files.items()})
    with pytest.raises(LoadError) as caught:
        collect([app], "service", Service, "Service")
    first, second = app.directory / "app/service/a.py", app.directory / "app/service/b.py"
    assert caught.value.problems == (
        f"AService(ctx) cannot be made: too many positional arguments ({first}:3)",
        f"BService(ctx) cannot be made: missing a required argument: 'table' ({second}:3)",
    )
    assert caught.value.hint == "it is made with ctx and nothing else: write `def __init__(self, ctx)`"
