"""Where tamago keeps its files."""

from __future__ import annotations

import os
import pwd
import stat
from pathlib import Path

import pytest

from tamago.cluster.home import home, log_paths, open_log_directory
from tamago.cluster.private_dir import DirectoryError


def test_the_variable_wins_then_the_runtime_directory_then_the_users_home(tmp_path: Path) -> None:
    everything = {"TAMAGO_HOME": "/x/t", "XDG_RUNTIME_DIR": "/run/user/1", "HOME": str(tmp_path)}
    assert home(everything) == Path("/x/t")
    del everything["TAMAGO_HOME"]
    assert home(everything) == Path("/run/user/1/tamago")
    del everything["XDG_RUNTIME_DIR"]
    assert home(everything) == tmp_path / ".local/state/tamago"


@pytest.mark.parametrize("name", ["TAMAGO_HOME", "XDG_RUNTIME_DIR"])
def test_a_relative_path_is_refused(name: str) -> None:
    with pytest.raises(DirectoryError, match=name):
        home({name: "here"})


def test_a_user_without_a_home_gets_a_directory_of_the_uid(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(uid: int) -> None:
        raise KeyError(uid)

    monkeypatch.setattr(pwd, "getpwuid", unknown)
    for variables in ({}, {"HOME": "/"}, {"HOME": "/nonexistent"}):
        assert home(variables).name == f"tamago-{os.geteuid()}"


def test_the_log_directory_is_for_us_and_our_group(tmp_path: Path) -> None:
    path = open_log_directory(tmp_path / "home", "shop")
    assert path == tmp_path / "home/logs/shop"
    assert stat.S_IMODE(path.stat().st_mode) == 0o750


def test_log_files_are_per_title_unless_the_settings_say_otherwise() -> None:
    paths = log_paths(Path("/h"), "shop", stderr="err.log", directory="/app")
    assert (paths.stdout, paths.stderr) == (Path("/h/logs/shop/stdout.log"), Path("/app/err.log"))
