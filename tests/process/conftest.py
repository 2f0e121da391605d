"""What every process test is given: a site of its own, and a way to start clusters that are checked when it is over."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest

from tests.process import proc
from tests.process.harness import Cluster, launch
from tests.process.site import TAMAGO, Site


class Start(Protocol):
    """Starts a cluster and, unless told otherwise, waits until it is ready."""

    def __call__(self, *arguments: str, ready: bool = True, **options: Any) -> Cluster: ...


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
    # The last one first: it may have been started while the others ran. All are ended, whatever the first one says.
    problems = []
    for cluster in started:
        try:
            cluster.finish() if cluster is started[-1] else cluster.stop_quietly()
        except Exception as problem:  # noqa: BLE001 - reported below, after the others have had their turn
            problems.append(str(problem))
    assert not problems, "\n".join(problems)
