"""Who an application is, found out before anything of it is imported."""

from __future__ import annotations

from pathlib import Path

import pytest

from tamago.core.app_info import AppInfo, AppInfoError, app_info


@pytest.fixture(name="blog")
def _blog(tmp_path: Path) -> Path:
    directory = tmp_path / "blog"
    (directory / "config").mkdir(parents=True)
    (directory / "pyproject.toml").write_text('[project]\nname = "my-blog"\n')
    return directory


def test_a_plain_application_runs_in_prod_and_keeps_its_data_at_home(blog: Path, tmp_path: Path) -> None:
    assert app_info(blog, environ={"HOME": str(tmp_path)}) == AppInfo(
        name="my-blog", directory=blog, env="prod", scope="", home=tmp_path, root=tmp_path
    )


@pytest.mark.parametrize(
    ("argument", "file", "variables", "env"),
    [
        ("local", "staging\n", {"TAMAGO_ENV": "prod", "PYTEST_VERSION": "9"}, "local"),
        (None, " staging\n", {"TAMAGO_ENV": "prod", "PYTEST_VERSION": "9"}, "staging"),
        ("", "staging", {}, "staging"),
        (None, "\n", {"TAMAGO_ENV": " local ", "PYTEST_VERSION": "9"}, "local"),
        (None, None, {"TAMAGO_ENV": "", "PYTEST_VERSION": "9"}, "unittest"),
        (None, None, {}, "prod"),
    ],
)
def test_the_environment_is_the_first_that_is_said(
    blog: Path, argument: str | None, file: str | None, variables: dict[str, str], env: str
) -> None:
    if file is not None:
        (blog / "config" / "env").write_text(file)
    assert app_info(blog, env=argument, environ=variables).env == env


def test_under_pytest_the_environment_is_unittest(blog: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    monkeypatch.delenv("TAMAGO_ENV", raising=False)
    assert app_info(blog, environ=os.environ).env == "unittest"


@pytest.mark.parametrize(("argument", "variable", "scope"), [(None, "en", "en"), ("de", "en", "de"), ("", "en", ""), (None, "", "")])
def test_the_scope_is_the_argument_also_an_empty_one_or_the_variable(blog: Path, argument: str | None, variable: str, scope: str) -> None:
    assert app_info(blog, scope=argument, environ={"TAMAGO_SCOPE": variable}).scope == scope


@pytest.mark.parametrize("env", ["local", "unittest"])
def test_in_development_data_stays_with_the_application(blog: Path, tmp_path: Path, env: str) -> None:
    info = app_info(blog, env=env, environ={"HOME": str(tmp_path)})
    assert (info.root, info.home) == (blog, tmp_path)


@pytest.mark.parametrize("home", ["", "/", "/nonexistent", "relative"])
def test_a_user_without_a_home_uses_the_applications_directory(blog: Path, home: str) -> None:
    assert app_info(blog, environ={"HOME": home}).home == blog


def test_tamago_home_wins_and_need_not_exist_yet(blog: Path, tmp_path: Path) -> None:
    assert app_info(blog, environ={"HOME": str(tmp_path), "TAMAGO_HOME": str(tmp_path / "data")}).home == tmp_path / "data"


def test_the_directory_is_absolute_and_a_link_to_it_stays_a_link(blog: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "current").symlink_to(blog)
    monkeypatch.chdir(tmp_path)
    assert app_info("current", environ={}).directory == tmp_path / "current"


@pytest.mark.parametrize(
    ("env", "problem"),
    [
        ("pre-prod", r"env='pre-prod' \(argument\): cannot be the name of a file of configuration"),
        ("Prod", "env='Prod'"),
        ("plugin", r"env='plugin' \(argument\): config/plugin\.py has another meaning"),
        ("plugin_x", "has another meaning"),
        ("models", "has another meaning"),
        ("../prod", "cannot be the name of a file"),
    ],
)
def test_an_environment_that_cannot_have_files_is_an_error(blog: Path, env: str, problem: str) -> None:
    with pytest.raises(AppInfoError, match=problem):
        app_info(blog, env=env, environ={})


@pytest.mark.parametrize("scope", ["default", "a-b", "plugin"])
def test_a_scope_that_cannot_have_files_is_an_error(blog: Path, scope: str) -> None:
    with pytest.raises(AppInfoError, match=rf"scope='{scope}' \(TAMAGO_SCOPE\)"):
        app_info(blog, environ={"TAMAGO_SCOPE": scope})


def test_a_wrong_environment_names_who_said_it(blog: Path) -> None:
    (blog / "config" / "env").write_text("a b")
    with pytest.raises(AppInfoError, match=f"{blog}/config/env"):
        app_info(blog, environ={})
    (blog / "config" / "env").unlink()
    with pytest.raises(AppInfoError, match="TAMAGO_ENV"):
        app_info(blog, environ={"TAMAGO_ENV": "a b"})


@pytest.mark.parametrize(
    ("pyproject", "problem", "hint"),
    [
        (None, "there is no .*pyproject.toml, which gives the application its name", 'name = "blog"'),
        ("", r"has no name in \[project\]", 'write name = "blog" below [project]'),
        ("[project]\nname = 3", r"has name = 3 in \[project\]", 'write name = "blog"'),
        ("[project]\nname = ' '", r"has name = ' ' in \[project\]", 'write name = "blog"'),
        ("project = 1", r"has no name in \[project\]", 'write name = "blog"'),
        ("[project", "pyproject.toml: Expected", "correct"),
    ],
)
def test_without_a_name_the_error_says_where_to_write_one(blog: Path, pyproject: str | None, problem: str, hint: str) -> None:
    (blog / "pyproject.toml").unlink()
    if pyproject is not None:
        (blog / "pyproject.toml").write_text(pyproject)
    with pytest.raises(AppInfoError, match=problem) as caught:
        app_info(blog, environ={})
    assert hint in caught.value.hint


def test_a_file_that_is_no_text_is_an_error(blog: Path) -> None:
    (blog / "pyproject.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(AppInfoError, match="it is not UTF-8"):
        app_info(blog, environ={})


def test_a_directory_that_is_none_is_an_error(blog: Path) -> None:
    with pytest.raises(AppInfoError, match="does not exist"):
        app_info(blog / "nowhere", environ={})
    with pytest.raises(AppInfoError, match="is not a directory"):
        app_info(blog / "pyproject.toml", environ={})
