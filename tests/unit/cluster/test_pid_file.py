"""The pid file: whole, ours, and gone with us."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tamago.cluster.pid_file import PidFile, PidFileError


def test_it_holds_our_pid_until_it_is_closed(tmp_path: Path) -> None:
    pid_file = PidFile(str(tmp_path / "pid"))
    assert (tmp_path / "pid").read_text() == f"{os.getpid()}\n"
    pid_file.close()
    assert list(tmp_path.iterdir()) == []


def test_without_a_path_there_is_none() -> None:
    PidFile("").close()


def test_a_successors_file_is_left_alone(tmp_path: Path) -> None:
    former = PidFile(str(tmp_path / "pid"))
    PidFile(str(tmp_path / "pid"))
    former.close()
    assert (tmp_path / "pid").exists()


def test_what_a_killed_master_with_our_pid_left_is_in_nobodys_way(tmp_path: Path) -> None:
    (tmp_path / f"pid.{os.getpid()}").write_text("")
    PidFile(str(tmp_path / "pid"))
    assert [file.name for file in tmp_path.iterdir()] == ["pid"]


def test_a_place_that_cannot_be_written_to_is_named_and_nothing_is_left(tmp_path: Path) -> None:
    (tmp_path / "pid").mkdir()
    with pytest.raises(PidFileError, match=r"cannot write the pid file .*/pid: is a directory"):
        PidFile(str(tmp_path / "pid"))
    assert [file.name for file in tmp_path.iterdir()] == ["pid"]
