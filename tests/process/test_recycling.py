"""Workers that served, lived or grew enough are replaced: the next one is there before the old one leaves."""

from __future__ import annotations

import pytest
from tests.process import proc
from tests.process.harness import Cluster, Start
from tests.process.load import Load


def replaced_without_a_gap(cluster: Cluster, slot: int) -> None:
    """Block until the worker in the slot has left, and check that the next one was up before, and is told that it serves."""
    left = cluster.expect(rf"worker {slot} gen=1 pid=(\d+) left: exit code 0")[0]
    lines = cluster.output.text.splitlines()
    up = [number for number, line in enumerate(lines) if line.startswith(f"@up role=worker slot={slot} ")]
    down = next(number for number, line in enumerate(lines) if line.startswith("@down") and f"pid={left[1]} " in line)
    assert up[1] < down, "the replacement boots before the old one drains"
    successor = lines[up[1]].split()[4]
    cluster.expect(rf"^@ready role=worker slot={slot} .*\b{successor} ")


@pytest.mark.parametrize("preload", [True, False], ids=["preloaded", "spawned"])
def test_max_requests_replaces_a_worker_under_load_and_loses_nothing(start: Start, preload: bool) -> None:
    cluster = start("--max-requests", "100", *(() if preload else ("--no-preload",)))
    with Load(cluster.place) as load:
        cluster.expect(r"will be replaced: it served \d+ requests")
        load.wait_answered(300)
        cluster.expect(r"worker \d gen=1 pid=\d+ left: exit code 0")
    load.assert_none_lost()
    slot = int(cluster.output.found(r"worker (\d) .*will be replaced")[0][1])
    replaced_without_a_gap(cluster, slot)


def test_max_lifetime_replaces_a_worker(start: Start) -> None:
    cluster = start("--max-lifetime", "1", workers=1)
    cluster.expect(r"will be replaced: it is \d+ s old")
    replaced_without_a_gap(cluster, 1)


def test_max_rss_replaces_a_worker_that_grew(start: Start) -> None:
    cluster = start("--max-rss", "120", workers=1)
    assert cluster.get("/grow/150").text == "grown"
    cluster.expect(r"will be replaced: it has \d+ MiB")
    replaced_without_a_gap(cluster, 1)
    assert proc.resident_kib(cluster.pid_of("worker 1")) < 120 * 1024


def test_one_worker_at_a_time_is_recycled(start: Start) -> None:
    cluster = start("--max-lifetime", "1", workers=3)
    cluster.expect(r"worker \d gen=1 pid=\d+ left: exit code 0", count=3)
    most = 0
    ups = 0
    for line in cluster.output.text.splitlines():
        ups += line.startswith("@up")
        ups -= line.startswith("@down")
        most = max(most, ups)
    assert most <= 4, "three and one replacement"
