"""Files and directories in `app/` that nobody would read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.unit.core.disk import Disk, temporary

from tamago.core.app_strays import check_app_names
from tamago.core.load_error import LoadError

CODE = "x = 1\n"


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    with temporary(tmp_path) as disk:
        yield disk


@pytest.mark.parametrize(
    ("file", "stray", "meant"),
    [
        ("services/user.py", "services", "service"),
        ("controllers/home.py", "controllers", "controller"),
        ("controllers/admin/home.py", "controllers", "controller"),
        ("middlewares/gzip.py", "middlewares", "middleware"),
        ("extends/context.py", "extends", "extend"),
        ("contoller/home.py", "contoller", "controller"),
        ("serivce/user.py", "serivce", "service"),
        ("Service/user.py", "Service", "service"),
        ("routers.py", "routers.py", "router.py"),
        ("routes.py", "routes.py", "router.py"),
        ("router/__init__.py", "router", "router.py"),
        ("routers/home.py", "routers", "router.py"),
        ("boots.py", "boots.py", "boot.py"),
    ],
)
def test_what_was_surely_meant_to_be_another_is_an_error(disk: Disk, file: str, stray: str, meant: str) -> None:
    unit = disk.app({f"app/{file}": CODE})
    with pytest.raises(LoadError) as caught:
        check_app_names([unit])
    place = unit.directory / "app"
    assert caught.value.problem == f"{place / stray} is not read; did you mean {place / meant}?"


def test_all_of_them_are_told_at_once(disk: Disk) -> None:
    unit = disk.app({"app/services/user.py": CODE, "app/controllers/home.py": CODE, "app/routers.py": CODE})
    with pytest.raises(LoadError) as caught:
        check_app_names([unit])
    assert len(caught.value.problems) == 3


def test_a_name_like_another_is_free_once_that_is_there(disk: Disk) -> None:
    files = ("services/a.py", "service/a.py", "controllers/a.py", "controller/a.py", "routes.py", "routers/a.py", "router.py")
    check_app_names([disk.app({f"app/{file}": CODE for file in files})])


@pytest.mark.parametrize(
    "file", ["models/user.py", "public/x.py", "device/a.py", "outer.py", "boost.py", "service.py", "controllers.py", "schemas.py"]
)
def test_names_of_the_authors_own_are_left_alone(disk: Disk, file: str) -> None:
    check_app_names([disk.app({f"app/{file}": CODE})])


@pytest.mark.parametrize("file", ["services/__pycache__/user.pyc", "services/__init__.py", "services/README.md"])
def test_a_directory_without_code_is_left_alone(disk: Disk, file: str) -> None:
    """Git leaves such directories behind."""
    check_app_names([disk.app({f"app/{file}": ""})])


def test_what_is_empty_does_not_stand_for_what_was_meant(disk: Disk) -> None:
    with pytest.raises(LoadError):
        check_app_names([disk.app({"app/service/__init__.py": "", "app/services/user.py": CODE})])


def test_plugins_are_looked_at_for_what_they_can_have(disk: Disk) -> None:
    check_app_names([disk.plugin("web", {"app/routes.py": CODE, "app/controllers/home.py": CODE})])
    with pytest.raises(LoadError, match=r"web/app/services is not read; did you mean .*web/app/service\?"):
        check_app_names([disk.plugin("db", {}), disk.plugin("web", {"app/services/user.py": CODE})])


def test_an_application_without_app_is_none_of_its_business(disk: Disk) -> None:
    check_app_names([disk.app({"config/default.py": CODE})])
