from __future__ import annotations

from pathlib import Path

import pytest

from tamago.core.load_error import LoadError
from tamago.core.scanning import scan


def touch(directory: Path, *names: str) -> None:
    for name in names:
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def test_modules_are_found_in_the_order_of_their_names(tmp_path: Path) -> None:
    touch(tmp_path, "user.py", "admin/role.py", "admin/__init__.py", "post.py", "__init__.py", "admin/deep/er.py")
    found = scan(tmp_path, "app.service")
    assert [(item.name, item.module, item.path) for item in found] == [
        (("admin", "deep", "er"), "app.service.admin.deep.er", tmp_path / "admin/deep/er.py"),
        (("admin", "role"), "app.service.admin.role", tmp_path / "admin/role.py"),
        (("post",), "app.service.post", tmp_path / "post.py"),
        (("user",), "app.service.user", tmp_path / "user.py"),
    ]


def test_a_directory_that_does_not_exist_holds_nothing(tmp_path: Path) -> None:
    assert scan(tmp_path / "service", "app.service") == []


def test_caches_and_other_files_are_no_modules(tmp_path: Path) -> None:
    touch(tmp_path, "user.py", "__pycache__/user.cpython-311.py", "README.md", "types.pyi", "fast.so", "data-files/x.json")
    assert [item.name for item in scan(tmp_path, "app")] == [("user",)]


def test_an_editors_lock_file_is_no_module(tmp_path: Path) -> None:
    touch(tmp_path, "user.py")
    (tmp_path / ".#user.py").symlink_to("me@host.1234")
    assert [item.name for item in scan(tmp_path, "app")] == [("user",)]


@pytest.mark.parametrize("name", [".a.py", "a.b.py", "_private.py", "User.py", "a-b.py", "2fa.py", "class.py", "a.b/x.py", "_x/a.py"])
def test_an_illegal_name_is_refused_with_its_file(tmp_path: Path, name: str) -> None:
    touch(tmp_path, "fine.py", name)
    with pytest.raises(LoadError) as caught:
        scan(tmp_path, "app")
    assert caught.value.problems == (
        f"{tmp_path / name} cannot be loaded: {caught.value.problems[0].split(chr(39))[1]!r} is not a legal name",
    )
    assert "lower-case" in caught.value.hint


def test_all_illegal_names_are_reported_at_once(tmp_path: Path) -> None:
    touch(tmp_path, "User.py", "ok.py", "sub/A.py")
    with pytest.raises(LoadError) as caught:
        scan(tmp_path, "app")
    assert len(caught.value.problems) == 2
    assert str(tmp_path / "User.py") in str(caught.value)
    assert str(tmp_path / "sub/A.py") in str(caught.value)


def test_a_file_and_a_directory_of_one_name_are_refused_with_both(tmp_path: Path) -> None:
    touch(tmp_path, "user.py", "user/profile.py")
    with pytest.raises(LoadError) as caught:
        scan(tmp_path, "app.service")
    assert caught.value.problems == (f"two files want one name: {tmp_path / 'user.py'} and {tmp_path / 'user/profile.py'}",)


def test_names_that_differ_in_case_only_are_refused(tmp_path: Path) -> None:
    touch(tmp_path, "user.py", "User.py")
    with pytest.raises(LoadError, match=r"User\.py cannot be loaded"):
        scan(tmp_path, "app.service")


def test_a_directory_without_modules_may_stand_beside_a_file_of_its_name(tmp_path: Path) -> None:
    touch(tmp_path, "user.py", "user/template.html")
    assert [item.name for item in scan(tmp_path, "app")] == [("user",)]


def test_linked_directories_are_followed(tmp_path: Path) -> None:
    touch(tmp_path, "elsewhere/a.py", "service/b.py")
    (tmp_path / "service/shared").symlink_to(tmp_path / "elsewhere")
    assert [item.module for item in scan(tmp_path / "service", "s")] == ["s.b", "s.shared.a"]


def test_a_link_to_a_directory_that_holds_it_is_refused(tmp_path: Path) -> None:
    touch(tmp_path, "service/a.py")
    (tmp_path / "service/loop").symlink_to(tmp_path / "service")
    with pytest.raises(LoadError, match="loop is a link to a directory that holds it"):
        scan(tmp_path / "service", "s")
