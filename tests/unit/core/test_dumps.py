from __future__ import annotations

import json
import logging
import os
import subprocess
from pathlib import Path

import pytest

from tamago.core.dumps import dump_config, dump_routes, dump_timing, write_dump
from tamago.core.timing import Timing


def test_the_files_are_called_as_eggs(tmp_path: Path) -> None:
    run = tmp_path / "deep" / "run"
    dump_config(run, "application", {"config": {}}, {})
    dump_config(run, "agent", {}, {})
    dump_timing(run, "application", Timing())
    dump_routes(run, [])
    assert sorted(path.name for path in run.iterdir()) == [
        "agent_config.json",
        "agent_config_meta.json",
        "application_config.json",
        "application_config_meta.json",
        f"application_timing_{os.getpid()}.json",
        "router.json",
    ]


def test_a_dump_is_indented_json_for_the_owner_only(tmp_path: Path) -> None:
    write_dump(tmp_path, "a.json", {"name": "ä", "path": Path("/x")})
    assert (tmp_path / "a.json").read_text() == '{\n  "name": "ä",\n  "path": "/x"\n}'
    assert (tmp_path / "a.json").stat().st_mode & 0o777 == 0o600


def test_a_dump_takes_the_place_of_the_one_before(tmp_path: Path) -> None:
    write_dump(tmp_path, "a.json", {"old": 1})
    with open(tmp_path / "a.json") as reader:
        write_dump(tmp_path, "a.json", {"new": 1})
        assert json.load(reader) == {"old": 1}
    assert json.loads((tmp_path / "a.json").read_text()) == {"new": 1}


def test_a_link_in_the_way_is_replaced_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("mine")
    (tmp_path / "a.json").symlink_to(tmp_path / "victim")
    write_dump(tmp_path, "a.json", 1)
    assert (tmp_path / "victim").read_text() == "mine"
    assert not (tmp_path / "a.json").is_symlink()


def test_a_directory_that_cannot_be_made_is_only_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "run").write_text("a file")
    write_dump(tmp_path / "run", "a.json", 1)
    assert f"cannot write {tmp_path / 'run' / 'a.json'}" in caplog.text


def test_a_value_that_holds_itself_is_only_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    value: list[object] = []
    value.append(value)
    write_dump(tmp_path, "a.json", value, log=logging.getLogger("mine"))
    assert [(record.name, record.levelname) for record in caplog.records] == [("mine", "WARNING")]


def test_a_dump_that_fails_leaves_nothing_behind(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "a.json").mkdir()
    write_dump(tmp_path, "a.json", 1)
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]
    assert "cannot write" in caplog.text


def test_timings_of_processes_that_are_gone_are_removed(tmp_path: Path) -> None:
    with subprocess.Popen(["true"]) as gone:
        gone.wait()
    for name in (
        f"application_timing_{gone.pid}",
        f"agent_timing_{gone.pid}",
        f"application_timing_{os.getppid()}",
        "application_timing_x",
    ):
        (tmp_path / f"{name}.json").write_text("[]")
    dump_timing(tmp_path, "application", Timing())
    assert sorted(path.stem for path in tmp_path.iterdir()) == sorted(
        [f"agent_timing_{gone.pid}", "application_timing_x", *(f"application_timing_{pid}" for pid in (os.getpid(), os.getppid()))]
    )
