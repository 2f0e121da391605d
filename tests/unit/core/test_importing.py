from __future__ import annotations

import importlib
import importlib.resources
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.unit.core.disk import Disk, temporary

from tamago.core.importing import BrokenFileError, ForeignModuleError, adopt, forget, import_found
from tamago.core.load_error import LoadError
from tamago.core.scanning import FoundModule, scan
from tamago.core.timing import Timing


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    with temporary(tmp_path) as disk:
        yield disk


def found(directory: Path, dotted: str) -> FoundModule:
    path = directory.joinpath(*dotted.split(".")).with_suffix(".py")
    return FoundModule(name=tuple(dotted.split(".")[2:]), module=dotted, path=path)


@pytest.mark.parametrize("init", [{}, {"app/__init__.py": "", "app/service/__init__.py": ""}])
def test_a_module_is_imported_under_its_ordinary_name(disk: Disk, init: dict[str, str]) -> None:
    disk.app({"app/service/user.py": "NAME = __name__", **init})
    (item,) = scan(disk.app_directory / "app/service", "app.service")
    module = import_found(item)
    assert module.NAME == "app.service.user"
    assert importlib.import_module("app.service.user") is module


def test_files_of_an_application_import_each_other(disk: Disk) -> None:
    disk.app({"app/a.py": "from app.b import B", "app/b.py": "from config.shared import B", "config/shared.py": "B = 7"})
    assert import_found(found(disk.app_directory, "app.a")).B == 7


def test_a_package_called_app_elsewhere_does_not_win_over_a_directory_without_init(disk: Disk) -> None:
    disk.write(disk.libraries, {"app/__init__.py": "raise RuntimeError('foreign')", "app/other.py": ""})
    sys.path.append(str(disk.libraries))
    disk.app({"app/mine.py": "X = 1"})
    assert import_found(found(disk.app_directory, "app.mine")).X == 1
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("app.other")


def test_a_directory_called_app_elsewhere_adds_nothing_to_the_application(disk: Disk) -> None:
    disk.write(disk.libraries, {"app/other.py": ""})
    sys.path.append(str(disk.libraries))
    disk.app({"app/mine.py": ""})
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("app.other")


def test_a_namespace_imported_before_is_narrowed_to_the_application(disk: Disk) -> None:
    disk.write(disk.libraries, {"app/other.py": ""})
    disk.write(disk.app_directory, {"app/mine.py": "X = 1"})
    sys.path[:0] = [str(disk.app_directory), str(disk.libraries)]
    importlib.import_module("app.mine")
    adopt(disk.app_directory)
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("app.other")


def test_a_package_that_is_already_imported_from_elsewhere_is_refused(disk: Disk) -> None:
    disk.write(disk.libraries, {"app/__init__.py": ""})
    sys.path.insert(0, str(disk.libraries))
    importlib.import_module("app")
    with pytest.raises(ForeignModuleError) as caught:
        disk.app({"app/mine.py": ""})
    assert str(disk.libraries / "app/__init__.py") in caught.value.problem
    assert str(disk.app_directory / "app") in caught.value.problem


@pytest.mark.parametrize("there", [{"stray.py": ""}, {}])
def test_a_module_that_is_another_file_is_refused(disk: Disk, there: dict[str, str]) -> None:
    disk.app({"app/mine.py": ""})
    disk.write(disk.root, there)
    importlib.import_module("app.mine").__file__ = str(disk.root / "stray.py")
    with pytest.raises(ForeignModuleError, match=r"`app\.mine` is already imported from .*stray\.py"):
        import_found(found(disk.app_directory, "app.mine"))


def test_a_module_called_app_beside_the_directory_is_refused(disk: Disk) -> None:
    with pytest.raises(LoadError, match="two files want one name"):
        disk.app({"app/mine.py": "", "app.py": ""})


def test_the_directory_stands_first_on_the_path_once(disk: Disk) -> None:
    sys.path.append(str(disk.app_directory))
    disk.app({"app/mine.py": ""})
    assert sys.path[0] == str(disk.app_directory)
    assert sys.path.count(str(disk.app_directory)) == 1


def test_a_syntax_error_names_file_and_line(disk: Disk) -> None:
    disk.app({"app/service/bad.py": "x = 1\ndef broken(:\n"})
    with pytest.raises(BrokenFileError) as caught:
        import_found(found(disk.app_directory, "app.service.bad"))
    assert caught.value.problem == f"{disk.app_directory / 'app/service/bad.py'}:2: invalid syntax"
    assert "def broken(:" in caught.value.detail


def test_a_syntax_error_in_what_a_file_imports_names_that_file(disk: Disk) -> None:
    disk.app({"app/service/good.py": "import app.bad", "app/bad.py": "y = 1\n\n  x = 1\n"})
    with pytest.raises(BrokenFileError) as caught:
        import_found(found(disk.app_directory, "app.service.good"))
    assert caught.value.problem.startswith(f"{disk.app_directory / 'app/bad.py'}:3: ")


def test_a_file_that_is_no_text_is_broken(disk: Disk) -> None:
    disk.app({"app/bad.py": ""})
    (disk.app_directory / "app/bad.py").write_bytes(b"x = '\xff'\n")
    with pytest.raises(BrokenFileError, match=r"bad\.py"):
        import_found(found(disk.app_directory, "app.bad"))


def test_what_a_file_raises_comes_through_with_the_name_of_the_file(disk: Disk) -> None:
    disk.app({"app/service/bad.py": "import no_such_library"})
    with pytest.raises(ModuleNotFoundError) as caught:
        import_found(found(disk.app_directory, "app.service.bad"))
    assert caught.value.name == "no_such_library"
    assert caught.value.__notes__ == [f"while {disk.app_directory / 'app/service/bad.py'} was being loaded"]


def test_every_import_is_timed_by_name_and_number(disk: Disk) -> None:
    disk.app({"app/a.py": "", "app/b.py": ""})
    timing = Timing()
    for name in ("app.a", "app.b"):
        import_found(found(disk.app_directory, name), timing)
    assert [item["name"] for item in timing.to_list()][-2:] == ["Require(0) app.a", "Require(1) app.b"]


def test_a_forgotten_application_makes_room_for_another(disk: Disk) -> None:
    first, second = disk.root / "one", disk.root / "two"
    for directory in (first, second):
        disk.write(directory, {"app/service/who.py": f"NAME = {directory.name!r}", "config/default.py": ""})
        adopt(directory)
        importlib.import_module("config.default")
        assert directory.name == import_found(found(directory, "app.service.who")).NAME
        forget(directory)
    assert not {"app", "app.service", "app.service.who", "config", "config.default"} & set(sys.modules)


def test_forgetting_keeps_tests_and_what_is_installed_below(disk: Disk) -> None:
    disk.app({"app/mine.py": "", "tests/test_mine.py": "", ".venv/site/library.py": "", "own/__init__.py": ""})
    sys.path.append(str(disk.app_directory / ".venv/site"))
    for name in ("app.mine", "library", "own"):
        importlib.import_module(name)
    test = importlib.util.spec_from_file_location("test_mine", disk.app_directory / "tests/test_mine.py")
    assert test is not None
    sys.modules["test_mine"] = importlib.util.module_from_spec(test)
    forget(disk.app_directory)
    assert {name for name in ("app", "app.mine", "library", "own", "test_mine", "os") if name in sys.modules} == {
        "library",
        "test_mine",
        "os",
    }


def test_a_forgotten_file_is_read_anew(disk: Disk) -> None:
    disk.app({"app/mine.py": "X = 1"})
    assert import_found(found(disk.app_directory, "app.mine")).X == 1
    forget(disk.app_directory)
    disk.app({"app/mine.py": "X = 'changed'"})
    assert import_found(found(disk.app_directory, "app.mine")).X == "changed"


def test_an_application_reached_through_a_link_is_the_same_application(disk: Disk) -> None:
    disk.write(disk.app_directory, {"app/__init__.py": "", "app/mine.py": "X = 1"})
    sys.path.insert(0, str(disk.app_directory))
    importlib.import_module("app.mine")
    link = disk.root / "link"
    link.symlink_to(disk.app_directory)
    adopt(link)
    assert import_found(found(link, "app.mine")).X == 1
    forget(link)
    assert "app.mine" not in sys.modules


def test_files_of_a_package_without_init_are_resources(disk: Disk) -> None:
    disk.app({"app/mine.py": "", "app/view/index.html": "hello"})
    assert importlib.resources.files("app").joinpath("view/index.html").read_text() == "hello"


def test_an_application_may_be_adopted_again(disk: Disk) -> None:
    disk.app({"app/mine.py": "X = 1"})
    first = import_found(found(disk.app_directory, "app.mine"))
    adopt(disk.app_directory)
    assert import_found(found(disk.app_directory, "app.mine")) is first


def test_a_file_whose_package_is_another_one_is_refused_with_both(disk: Disk) -> None:
    disk.write(disk.libraries / "elsewhere", {"cache/__init__.py": ""})
    sys.path.insert(0, str(disk.libraries / "elsewhere"))
    unit = disk.plugin("cache", {"app/service/cache.py": ""})
    (item,) = scan(unit.directory / "app/service", unit.module_name("app.service"))
    with pytest.raises(ForeignModuleError) as caught:
        import_found(item)
    assert "`cache` is already imported from" in caught.value.problem
    assert str(disk.libraries / "elsewhere/cache/__init__.py") in caught.value.problem
