"""Settings come from two files, the environment and flags, in this order."""

from __future__ import annotations

from pathlib import Path

import pytest

from tamago.cluster.settings_resolve import SettingsError
from tamago.cluster.settings_sources import default_title, load


def test_the_order_is_pyproject_then_own_file_then_environment_then_flags(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool.tamago]\nworkers = 1\nport = 1\nhost = '::1'\nlinger = 1\n")
    (tmp_path / "tamago.toml").write_text("workers = 2\nport = 2\nhost = '::2'\n")
    resolved = load(tmp_path, {"TAMAGO_WORKERS": "3", "TAMAGO_PORT": "3"}, {"workers": "4", "env": None})
    settings, origins = resolved.settings, resolved.origins
    assert (settings.workers, settings.port, settings.host, settings.linger) == (4, 3, "::2", 1.0)
    assert [origins[name] for name in ("workers", "port", "host", "linger", "env")] == [
        "command line",
        "environment TAMAGO_PORT",
        "tamago.toml",
        "pyproject.toml [tool.tamago]",
        "default",
    ]


def test_the_variables_of_platforms_count_less_than_ours_and_more_than_files(tmp_path: Path) -> None:
    (tmp_path / "tamago.toml").write_text("port = 1\nworkers = 1\n")
    settings = load(tmp_path, {"PORT": "5000", "WEB_CONCURRENCY": "7", "TAMAGO_WORKERS": "3"}, {}).settings
    assert (settings.port, settings.workers) == (5000, 3)


def test_a_variable_set_to_nothing_says_nothing(tmp_path: Path) -> None:
    assert load(tmp_path, {"TAMAGO_WORKERS": "", "PORT": ""}, {}).settings.port == 8000


def test_the_home_directory_is_no_setting(tmp_path: Path) -> None:
    assert load(tmp_path, {"TAMAGO_HOME": "/x", "TAMAGO_SCOPE": "en", "TAMAGO__LOGGER__LEVEL": "DEBUG"}, {}).settings.port == 8000


def test_a_syntax_error_names_file_and_line(tmp_path: Path) -> None:
    (tmp_path / "tamago.toml").write_text("workers = 2\nport = = 3\n")
    with pytest.raises(SettingsError) as caught:
        load(tmp_path, {}, {})
    assert caught.value.problems == (f"{tmp_path}/tamago.toml:2:8: invalid value",)


def test_a_file_that_is_not_utf8_is_named(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_bytes(b"\xff")
    with pytest.raises(SettingsError, match="it is not UTF-8"):
        load(tmp_path, {}, {})


def test_the_settings_know_the_directory_and_have_a_title(tmp_path: Path) -> None:
    root = tmp_path / "My shop"
    root.mkdir()
    resolved = load(root / ".." / "My shop", {}, {})
    assert (resolved.settings.directory, resolved.settings.title) == (str(root), "My-shop")
    assert resolved.origins["title"] == "name of the directory"


def test_a_link_stays_a_link_so_that_a_reload_follows_it_to_the_next_release(tmp_path: Path) -> None:
    (tmp_path / "release-1").mkdir()
    link = tmp_path / "current"
    link.symlink_to(tmp_path / "release-1")
    settings = load(link, {}, {}).settings
    assert (settings.directory, settings.title) == (str(link), "current")


def test_the_shells_name_of_the_current_directory_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "release-1").mkdir()
    link = tmp_path / "current"
    link.symlink_to(tmp_path / "release-1")
    monkeypatch.chdir(link)
    monkeypatch.setenv("PWD", str(link))
    assert load(".", {}, {}).settings.directory == str(link)
    monkeypatch.setenv("PWD", "/somewhere/else")  # a program that changed its directory and forgot to say so
    assert load(".", {}, {}).settings.directory == str(tmp_path / "release-1")


def test_the_title_is_the_project_name_unless_given(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[project]\nname = 'acme-shop'\n")
    assert load(tmp_path, {}, {}).settings.title == default_title(tmp_path, {}) == "acme-shop"
    assert load(tmp_path, {"TAMAGO_TITLE": "x"}, {}).settings.title == default_title(tmp_path, {"TAMAGO_TITLE": "x"}) == "x"


def test_the_default_title_is_known_even_where_the_files_are_broken(tmp_path: Path) -> None:
    (tmp_path / "tamago.toml").write_text("=")
    assert default_title(tmp_path, {}) == tmp_path.name.replace("[", "-")


@pytest.mark.parametrize("name", ["missing", "file"])
def test_a_directory_that_is_none_is_a_problem(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingsError, match=name):
        load(tmp_path / name, {}, {})


def test_a_file_cannot_say_where_it_is(tmp_path: Path) -> None:
    (tmp_path / "tamago.toml").write_text("directory = '/'\n")
    with pytest.raises(SettingsError, match="directory"):
        load(tmp_path, {}, {})


def test_the_file_of_a_framework_application_says_its_environment_unless_a_flag_does(tmp_path: Path) -> None:
    for directory in ("app", "config"):
        (tmp_path / directory).mkdir()
    (tmp_path / "config" / "env").write_text("staging\n")
    resolved = load(tmp_path, {"TAMAGO_ENV": "local"}, {})
    assert (resolved.settings.env, resolved.origins["env"]) == ("staging", "config/env")
    assert load(tmp_path, {}, {"env": "prod"}).settings.env == "prod"


def test_a_file_config_env_of_any_other_application_means_nothing_to_us(tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "env").write_text("KEY=value\n")
    assert load(tmp_path, {}, {}).settings.env == "prod"
