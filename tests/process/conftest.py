"""What every process test is given: a site of its own, and a way to start clusters that are checked when it is over."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.process import proc
from tests.process.harness import Cluster, Start, launch
from tests.process.site import TAMAGO, Site


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything here starts real processes."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.slow)


@pytest.fixture
def site() -> Iterator[Site]:
    """A short directory: the path of a Unix socket in it has at most 107 bytes."""
    assert TAMAGO.exists(), f"the command is not installed beside {TAMAGO}"
    root = Path(tempfile.mkdtemp(prefix="t", dir="/tmp"))
    root.chmod(0o755)
    site = Site(root)
    site.use("tiny")
    try:
        yield site
        left = proc.holders_of(root, site.marker)
        for holder in left:
            proc.end(int(holder.split()[0]))
        assert not left, f"still there: {left}"
    finally:
        site.close()
        shutil.rmtree(root, ignore_errors=True)


@pytest.fixture
def start(site: Site) -> Iterator[Start]:
    """Start clusters in `site`. At the end each is stopped if it runs, and must have left nothing."""
    started: list[Cluster] = []

    def start_one(*arguments: str, ready: bool = True, **options: Any) -> Cluster:
        cluster = launch(site, *arguments, **options)
        started.append(cluster)
        return cluster.wait_ready() if ready else cluster

    yield start_one
    for cluster in started:
        # Shown by pytest only when the test failed.
        print(f"---- {cluster.title}, master pid {cluster.pid}\n{cluster.output.text}")
    problems = [problem for cluster in started for problem in _problems(cluster.finish)]
    problems += [problem for cluster in started for problem in _problems(cluster.assert_nothing_left) if not problems]
    for cluster in started:
        cluster.destroy()
    assert not problems, "\n".join(problems)


def _problems(check: Callable[[], None]) -> list[str]:
    # All clusters are ended and checked, whatever is wrong with the first one.
    try:
        check()
    except (AssertionError, OSError, subprocess.TimeoutExpired) as problem:
        return [str(problem)]
    return []
