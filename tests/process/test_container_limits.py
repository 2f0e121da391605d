"""What a container gives is what is used, and when there is too little of it the cluster gets through: CPUs, processes, memory, files."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.process import proc
from tests.process.harness import Start
from tests.process.privilege import needs_root
from tests.process.site import Site

_ROOT = Path("/sys/fs/cgroup")
Group = Callable[..., Path]


@pytest.fixture
def group() -> Iterator[Group]:
    """Make a control group of version 1 for a controller, with limits in it. Nobody is left in it when the clusters are gone."""
    made: list[Path] = []

    def make(controller: str, **limits: int) -> Path:
        path = _ROOT / controller / f"tamago-test-{secrets.token_hex(4)}"
        try:
            path.mkdir()
        except OSError:
            pytest.skip(f"no control group can be made for {controller} here")
        made.append(path)
        for name, limit in limits.items():
            (path / name.replace("__", ".")).write_text(str(limit))
        return path

    yield make
    for path in made:
        path.rmdir()


def inside(path: Path) -> tuple[str, ...]:
    """A command prefix that moves into the group first."""
    return ("sh", "-c", f'echo $$ > {path}/cgroup.procs && exec "$@"', "sh")


@needs_root
@pytest.mark.parametrize(("quota", "workers"), [(100_000, 1), (150_000, 2), (50_000, 1)])
def test_there_are_as_many_workers_as_the_cpu_quota_allows(group: Group, start: Start, quota: int, workers: int) -> None:
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("one CPU is all there is")
    path = group("cpu", cpu__cfs_period_us=100_000, cpu__cfs_quota_us=quota)
    assert len(start(workers=None, prefix=inside(path)).workers()) == workers


@needs_root
def test_when_no_process_can_be_made_the_others_serve_on_and_it_is_tried_again(group: Group, start: Start) -> None:
    path = group("pids")
    cluster = start(prefix=inside(path))
    cluster.expect_ready(count=2)
    cluster.output.mark()
    there = int((path / "pids.current").read_text())
    nest = cluster.pid_of("nest")
    open_before = len(proc.descriptors_of(nest))
    (path / "pids.max").write_text(str(there - 2))
    proc.end(cluster.workers()[1])
    cluster.expect("Resource temporarily unavailable", count=3)
    assert len(proc.descriptors_of(nest)) <= open_before, "it may have to try for hours"
    assert cluster.get().text == "hello"
    assert cluster.status()["degraded"] is True
    (path / "pids.max").write_text("max")
    cluster.expect_ready(slot=1)
    assert cluster.get().text == "hello"


@needs_root
def test_a_worker_the_kernel_kills_for_its_memory_is_replaced(site: Site, group: Group, start: Start) -> None:
    path = group("memory", memory__limit_in_bytes=400 << 20)
    cluster = start(prefix=inside(path))
    cluster.expect_ready(count=2)
    cluster.output.mark()
    with cluster.connect() as connection:
        connection.send("/grow/600")
        cluster.expect(r"worker \d gen=1 pid=\d+ died .*SIGKILL")
    cluster.expect_ready()
    assert cluster.get().text == "hello"


def test_workers_may_open_as_many_files_as_the_hard_limit_allows(start: Start) -> None:
    cluster = start(prefix=("prlimit", "--nofile=256:8192"))
    for pid in (cluster.pid, *cluster.workers().values()):
        limits = Path(f"/proc/{pid}/limits").read_text()
        soft = next(line for line in limits.splitlines() if line.startswith("Max open files")).split()[3]
        assert soft == "8192"
