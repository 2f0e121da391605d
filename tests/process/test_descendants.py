"""What an application's processes start ends with them, wherever it hid, and never holds the port."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest
from tests.process import proc
from tests.process.barrier import wait_no_zombies
from tests.process.harness import Cluster, Start
from tests.process.site import Site

_MODES = pytest.mark.parametrize("mode", [(), ("--no-preload",)], ids=["preloaded", "spawned"])
_KIN = ["child", "stubborn", "tree", "fork", "session", "daemon"]


@contextmanager
def watching_kin(cluster: Cluster, paths: list[str]) -> Iterator[dict[str, int]]:
    """Have the worker start a descendant of each of these kinds; hold a pidfd of each."""
    with ExitStack() as stack:
        yield {path: stack.enter_context(proc.watching(cluster.get(f"/{path}").json())) for path in paths}


@_MODES
def test_a_stop_leaves_no_descendant_wherever_it_hid_and_waits_for_none(site: Site, start: Start, mode: tuple[str, ...]) -> None:
    site.use("kin")
    cluster = start(*mode, "--stop-timeout", "600", workers=1)
    with watching_kin(cluster, _KIN) as kin:
        assert not {path for path, pidfd in kin.items() if proc.has_ended(pidfd)}
        assert cluster.stop() == 0
        assert not {path for path, pidfd in kin.items() if not proc.has_ended(pidfd)}


def test_a_worker_that_dies_takes_its_descendants_along_and_no_port_is_held(site: Site, start: Start) -> None:
    site.use("kin")
    cluster = start(workers=1)
    cluster.expect_ready()
    worker = cluster.pid_of("worker 1")
    with watching_kin(cluster, ["child", "stubborn", "tree", "fork"]) as kin:
        cluster.output.mark()
        proc.end(worker)
        proc.wait_ended(*kin.values())
        cluster.expect_ready()
    wait_no_zombies(cluster)
    assert cluster.get("/who").json()["pid"] == cluster.pid_of("worker 1")


def test_a_daemon_a_worker_started_outlives_the_worker_but_not_the_cluster(site: Site, start: Start) -> None:
    site.use("kin")
    cluster = start(workers=1)
    cluster.expect_ready()
    with proc.watching(daemon := cluster.get("/daemon").json()) as pidfd:
        cluster.output.mark()
        cluster.call("kick", slot=1)
        cluster.expect_ready()
        assert not proc.has_ended(pidfd)
        assert proc.parent_of(daemon) == cluster.pid, "the master is whom the kernel gave it to"
        assert not proc.listening_inodes() & set(proc.descriptors_of(daemon).values())
        assert cluster.stop() == 0
        assert proc.has_ended(pidfd)


def test_a_reload_ends_the_descendants_of_the_old_generation(site: Site, start: Start) -> None:
    site.use("kin")
    cluster = start()
    with proc.watching(cluster.get("/stubborn").json()) as pidfd:
        cluster.call("reload")
        proc.wait_ended(pidfd)
    wait_no_zombies(cluster)


def test_a_zombie_storm_is_reaped_and_does_not_starve_the_master(site: Site, start: Start) -> None:
    site.use("kin")
    cluster = start()
    before = proc.cpu_seconds(cluster.pid)
    cluster.get("/storm")
    assert cluster.status()["ready"]
    wait_no_zombies(cluster)
    assert proc.cpu_seconds(cluster.pid) - before < 2
    assert sorted(cluster.tree().values()) == ["agent", "nest gen 1", "worker 1", "worker 2"]


def test_pid1_reaps_unknown_children(site: Site, start: Start) -> None:
    if os.geteuid() != 0:
        pytest.skip("a PID namespace needs root here")
    site.use("kin")
    cluster = start(prefix=("unshare", "--pid", "--fork", "--kill-child=SIGTERM", "--mount-proc"))
    # `unshare` waits outside; its only child is PID 1 inside and our master.
    master = proc.children_of(cluster.pid)[0]
    assert proc.title_of(master).startswith("tamago: master")
    cluster.get("/storm")
    # A stranger to tamago: it came into the namespace from outside, and its parent left.
    stranger = ["nsenter", "--pid", "--mount", f"--target={master}", "sh", "-c", "(exec 1>&- ; sleep 0.01) & echo $!"]
    assert int(subprocess.run(stranger, capture_output=True, check=True).stdout) > 1
    wait_no_zombies(cluster, master)
    assert cluster.get("/who").status == 200
    with proc.watching(master) as pidfd:
        signal.pidfd_send_signal(pidfd, signal.SIGTERM)
        proc.wait_ended(pidfd)
    assert cluster.wait() == 0
    assert cluster.output.found(r"\[master pid=1\] stopped", everywhere=True)


def test_a_killed_worker_is_killed_with_its_descendants(site: Site, start: Start) -> None:
    site.use("kin")
    cluster = start("--hang-timeout", "1", workers=1)
    with proc.watching(cluster.get("/session").json()) as pidfd, cluster.connect() as connection:
        connection.send("/block")
        proc.wait_ended(pidfd)


def test_a_master_that_dies_takes_descendants_of_blocked_workers_along(site: Site, start: Start) -> None:
    site.use("kin")
    cluster = start("--stop-timeout", "1", workers=1)
    with proc.watching(cluster.get("/child").json()) as pidfd, cluster.connect() as connection:
        connection.send("/block")
        cluster.expect("@blocking")
        cluster.kill_master()
        proc.wait_ended(pidfd)
    cluster.output.wait_end()


def test_descendants_that_run_something_else_do_not_hold_the_port(site: Site, start: Start) -> None:
    site.use("kin")
    cluster = start(workers=1)
    for path in ("child", "tree", "session", "daemon"):
        assert not proc.listening_inodes() & set(proc.descriptors_of(cluster.get(f"/{path}").json()).values()), path
