"""Which cluster a title or a directory means."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tamago.cluster.rundir import RunDir, this_process
from tamago.cluster.running import AmbiguousClusterError, NotRunningError, find, find_title, list_running

Run = Callable[[str, Path], None]


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    """Hold the lock of a title as a cluster started from a directory would."""
    with ExitStack() as stack:

        def run(title: str, directory: Path) -> None:
            directory.mkdir(exist_ok=True)
            rundir = stack.enter_context(RunDir(tmp_path, title, create=True))
            rundir.lock(this_process(title=title, directory=str(directory)))

        yield run


def test_nothing_runs_where_nothing_ever_ran(tmp_path: Path) -> None:
    assert list_running(tmp_path / "x") == []
    assert find_title(tmp_path, "shop") is None
    with pytest.raises(NotRunningError, match="shop is not running"):
        find(tmp_path, title="shop")


def test_what_ran_once_does_not_run(tmp_path: Path) -> None:
    with RunDir(tmp_path, "old", create=True) as rundir:
        rundir.lock(this_process(title="old", directory="/"))
    assert list_running(tmp_path) == []


def test_running_clusters_are_listed_by_title(tmp_path: Path, run: Run) -> None:
    run("b", tmp_path / "one")
    run("a", tmp_path / "two")
    (tmp_path / "run" / "stray").write_text("")
    assert [running.title for running in list_running(tmp_path)] == ["a", "b"]


def test_a_directory_means_the_cluster_started_from_it(tmp_path: Path, run: Run) -> None:
    run("a", tmp_path / "one")
    run("b", tmp_path / "two")
    (tmp_path / "link").symlink_to(tmp_path / "two")
    assert find(tmp_path, directory=str(tmp_path / "one")).title == "a"
    assert find(tmp_path, directory=str(tmp_path / "link")).title == "b"


def test_of_several_in_a_directory_the_one_with_the_default_title_is_meant(tmp_path: Path, run: Run) -> None:
    run("a", tmp_path / "one")
    run("b", tmp_path / "one")
    assert find(tmp_path, directory=str(tmp_path / "one"), default_title=lambda: "b").title == "b"
    with pytest.raises(AmbiguousClusterError) as caught:
        find(tmp_path, directory=str(tmp_path / "one"), default_title=lambda: "c")
    assert caught.value.titles == ["a", "b"]


def test_the_same_title_from_another_directory_is_not_meant(tmp_path: Path, run: Run) -> None:
    run("shop", tmp_path / "one")
    with pytest.raises(NotRunningError, match=r"shop \(from .*one"):
        find(tmp_path, directory=str(tmp_path), default_title=lambda: "shop")
