"""A master that may open no more files: who serves goes on, what failed is tried again, and all is well once it may."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from tests.process import proc
from tests.process.barrier import wait_heard
from tests.process.control import Control
from tests.process.harness import Cluster, Start

MODES = pytest.mark.parametrize("mode", [(), ("--no-preload",)], ids=["preloaded", "spawned"])
# Numbers below this are the master's standard files, so nothing can be opened.
_NONE = 3


@contextmanager
def most_descriptors(pid: int, number: int) -> Iterator[None]:
    """Let a process open nothing with a number from this one on; what it has open stays so."""
    soft, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (number, hard))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (soft, hard))


def limit_with_free(pid: int, count: int) -> int:
    """The limit under which a process may open exactly so many more files than it has now."""
    used = set(proc.descriptors_of(pid))
    limit = 0
    while count or limit in used:
        count -= limit not in used
        limit += 1
    return limit


def replaced(cluster: Cluster) -> None:
    """Block until there is a new worker in slot 1, at once and not after its pause."""
    control = Control(cluster)
    control.call("kick", slot=1)
    control.close()


@MODES
def test_a_master_without_descriptors_keeps_who_serves_and_repairs_the_rest_later(start: Start, mode: tuple[str, ...]) -> None:
    cluster = start(*mode)
    cluster.expect_ready(count=2)
    cluster.output.mark()
    with most_descriptors(cluster.pid, _NONE):
        proc.end(cluster.workers()[1])
        cluster.expect(r"cannot start worker 1 .*Too many open files; next try in")
        for _ in range(20):
            assert cluster.who()["slot"] == 2
        client = Control(cluster)  # waits in the queue
        client.send("status")
        cluster.expect("control: no file descriptor is left")
    assert client.event("done")["result"]["ready"] is True
    client.close()
    replaced(cluster)
    assert sorted(cluster.workers()) == [1, 2]
    assert "Traceback" not in cluster.output.text
    assert len(cluster.output.found("control: no file descriptor is left")) == 1


@MODES
def test_whichever_descriptor_is_the_first_that_cannot_be_opened_nothing_is_lost(start: Start, mode: tuple[str, ...]) -> None:
    cluster = start(*mode)
    cluster.expect_ready(count=2)
    before = len(proc.descriptors_of(cluster.pid))
    for free in range(7):
        cluster.output.mark()
        # The death gives two back: a channel and a pidfd.
        with most_descriptors(cluster.pid, limit_with_free(cluster.pid, free)):
            proc.end(cluster.workers()[1])
            cluster.expect(r"worker 1 .*; next try|@ready role=worker slot=1 ")
        replaced(cluster)
        assert sorted(cluster.workers()) == [1, 2]
        assert cluster.get().text == "hello"
    wait_heard(cluster)
    assert len(proc.descriptors_of(cluster.pid)) == before
    assert "Traceback" not in cluster.output.text


def test_a_reload_without_descriptors_is_rolled_back(start: Start) -> None:
    cluster = start()
    cluster.expect_ready(count=2)
    control = Control(cluster)
    control.call("health")  # it has been accepted
    with most_descriptors(cluster.pid, _NONE):
        control.send("reload")
        while (said := control.line())["event"] not in {"done", "error"}:
            pass
        assert "Too many open files" in said["problem"]
    assert control.call("reload")["generation"] == 2
    control.close()
    assert "Traceback" not in cluster.output.text
