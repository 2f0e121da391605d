"""The log files of an application in a whole cluster: several workers share them, rotation, the console, and the end."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path

import pytest
from tests.process.harness import Start
from tests.process.load import Load
from tests.process.site import Site

LINE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} INFO (?P<pid>\d+) served /")


@pytest.fixture
def logs(site: Site) -> Path:
    """The application's file."""
    site.use("logs", as_="logged")
    return site.app / "logs/blog/blog-web.log"


def rotate(file: Path) -> Path:
    rotated = file.with_suffix(".1")
    file.rename(rotated)
    return rotated


def writers(*files: Path) -> list[int]:
    """The process of each line about a request."""
    lines = [line for file in files if file.exists() for line in file.read_text().splitlines()]
    return [int(found["pid"]) for line in lines if (found := LINE.match(line))]


@pytest.mark.parametrize("mode", [(), ("--no-preload",)], ids=["preloaded", "spawned"])
def test_the_workers_share_a_file_that_usr1_opens_again_and_lose_no_line(logs: Path, start: Start, mode: tuple[str, ...]) -> None:
    cluster = start(*mode, app="logged:app")
    pids = set(cluster.workers().values())
    with Load(cluster.place) as load:
        load.wait_answered(100)
        rotated = rotate(logs)
        cluster.signal(signal.SIGUSR1)
        load.wait_answered(100)
    assert cluster.stop() == 0
    load.assert_none_lost()
    assert set(writers(rotated)) == set(writers(logs)) == pids
    assert len(writers(rotated, logs)) == load.answered
    assert logs.read_text().count(" down\n") == 2


def test_the_message_log_reload_has_every_worker_open_the_files_again(logs: Path, start: Start) -> None:
    cluster = start(app="logged:app")
    pids = set(cluster.workers().values())
    rotated = rotate(logs)
    cluster.get("/rotated")
    while set(writers(logs)) != pids:
        cluster.get("/")
    assert (rotated.read_text() + logs.read_text()).count("up in slot") == 2


def test_a_worker_that_is_killed_had_its_lines_written_without_being_asked(logs: Path, start: Start) -> None:
    cluster = start(app="logged:app", workers=1)
    victim = cluster.workers()[1]
    cluster.get("/")
    while not writers(logs):
        pass
    os.kill(victim, signal.SIGKILL)
    cluster.get("/")
    assert cluster.stop() == 0
    first, second = writers(logs)
    assert first == victim != second


def test_a_line_is_in_the_file_and_while_developing_once_on_the_console(logs: Path, site: Site, start: Start) -> None:
    site.write("local", "")
    cluster = start(app="logged:app")
    cluster.get("/say/hello")
    line = cluster.expect(r"^.* served /say/hello$")[0].string
    assert re.search(r"\d\d:\d\d:\d\d\.\d{3} INFO  worker \d  served /say/hello$", line)
    assert cluster.stop() == 0
    assert cluster.output.text.count("served /say/hello") == 1
    assert logs.read_text().count("served /say/hello") == 1


def test_in_production_the_console_says_where_to_look(logs: Path, start: Start) -> None:
    cluster = start(app="logged:app")
    cluster.get("/say/hello")
    assert cluster.stop() == 0
    assert cluster.output.text.count(f"goes to {logs} and beside it") == 1
    assert "served /say/hello" not in cluster.output.text
    assert len(writers(logs)) == 1
