"""A starting daemon tells its launcher what happens."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from tamago.cluster.launch_report import LONGEST_DETAIL, LaunchEvent, LaunchReport, Progress, Started, StartFailed, decode_event
from tamago.errors import TamagoError


class Launcher:
    """The other end of a report."""

    def __init__(self) -> None:
        self.socket, theirs = socket.socketpair()
        self.socket.settimeout(5)
        self.report = LaunchReport(theirs.detach())

    def read_all(self) -> list[LaunchEvent]:
        with self.socket.makefile("rb") as lines:
            return [decode_event(line) for line in lines]


@pytest.fixture
def launcher() -> Iterator[Launcher]:
    launcher = Launcher()
    yield launcher
    launcher.report.close()
    launcher.socket.close()


def test_ready_ends_the_report(launcher: Launcher) -> None:
    launcher.report.progress("nest importing")
    launcher.report.ready(pid=7, title="shop", addresses=["http://127.0.0.1:1"], seconds=0.5)
    assert launcher.report.fileno() == -1
    assert launcher.read_all() == [
        Progress(text="nest importing"),
        Started(pid=7, title="shop", addresses=["http://127.0.0.1:1"], seconds=0.5),
    ]


def test_a_failure_carries_all_that_is_to_be_printed(launcher: Launcher) -> None:
    launcher.report.failed(TamagoError("no", hint="try", detail="x" * 100_000))
    assert launcher.read_all() == [StartFailed(problem="no", hint="try", detail="x" * LONGEST_DETAIL, exit_code=1)]


def test_a_launcher_that_left_is_noticed_and_hurts_nobody(launcher: Launcher) -> None:
    assert not launcher.report.launcher_gone()
    launcher.socket.close()
    assert launcher.report.launcher_gone()
    launcher.report.progress("x")
    launcher.report.ready(pid=1, title="x", addresses=[], seconds=0)


def test_a_launcher_that_reads_nothing_blocks_nobody(launcher: Launcher) -> None:
    for number in range(20_000):
        launcher.report.progress(f"line {number}")


def test_without_a_launcher_nothing_happens() -> None:
    report = LaunchReport(-1)
    report.progress("x")
    report.failed(TamagoError("x"))
    assert (report.fileno(), report.launcher_gone()) == (-1, False)
