"""A process that hangs is shown, killed and replaced; a machine or a master that stood still makes nobody look hung."""

from __future__ import annotations

import os
import re
import select
import signal
import time
from contextlib import ExitStack

import pytest
from tests.process import proc
from tests.process.harness import Cluster, Start
from tests.process.http_client import LostError, get
from tests.process.site import Site

_THREADS = """
import os, threading
from report import say

def app(environ, start_response):
    if environ["PATH_INFO"] == "/block":
        say("blocking")
        threading.Event().wait()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(os.getpid()).encode()]
"""


def freeze(cluster: Cluster) -> list[int]:
    """Stop the master and everybody else, as a machine that goes to sleep does."""
    pids = [cluster.pid, *cluster.tree()]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    return pids


def thaw(pids: list[int]) -> None:
    for pid in reversed(pids):
        os.kill(pid, signal.SIGCONT)


def nobody_ends(pids: list[int], *, within: float) -> bool:
    """Whether all of them live on for so many seconds."""
    with ExitStack() as stack:
        poll = select.poll()
        for pid in pids:
            poll.register(stack.enter_context(proc.watching(pid)), select.POLLIN)
        return not poll.poll(within * 1000)


def stacks(cluster: Cluster) -> str:
    """The output without the lines of the log: one may come in the middle of a stack, which is written in pieces."""
    return re.sub(r"\d{4}-\d\d-\d\dT\S+ [A-Z]+ +\[.*\n", "", cluster.output.text)


def test_blocked_loop_is_dumped_and_replaced(start: Start) -> None:
    cluster = start("--hang-timeout", "1")
    cluster.expect_ready(count=2)
    cluster.output.mark()
    with cluster.connect() as connection:
        connection.send("/block/600")
        slot, pid = cluster.expect(r"@blocking role=worker slot=(\d) .*pid=(\d+)")[0].groups()
        cluster.expect(rf"worker {slot} gen=1 pid={pid} hangs: its event loop has been blocked")
        cluster.expect_ready(slot=int(slot))
        with pytest.raises((LostError, ConnectionError)):
            connection.receive()
    assert "in block" in stacks(cluster), "its stack is in the log"
    assert cluster.get().text == "hello"
    assert int(pid) not in cluster.workers().values()


def test_an_interpreter_held_by_one_c_call_is_dumped_and_replaced(start: Start) -> None:
    cluster = start("--hang-timeout", "1")
    cluster.expect_ready(count=2)
    cluster.output.mark()
    with cluster.connect() as connection:
        connection.send("/gil")
        slot = int(cluster.expect(r"@blocking role=worker slot=(\d)")[0][1])
        cluster.expect_ready(slot=slot)
    assert "in gil" in stacks(cluster)


def test_blocked_threads_pool_is_replaced(site: Site, start: Start) -> None:
    site.write("main.py", _THREADS)
    cluster = start("--hang-timeout", "1", "--threads", "2", workers=1)
    old = int(cluster.get().text)
    connections = [cluster.connect() for _ in range(2)]
    for connection in connections:
        connection.send("/block")
    cluster.expect("@blocking", count=2)
    cluster.expect("its thread pool has been blocked")
    cluster.expect(r"worker 1 gen=1 pid=\d+ left: signal SIGKILL")
    assert int(cluster.get().text) != old
    for connection in connections:
        connection.close()


def test_blocked_worker_stops_accepting(start: Start) -> None:
    cluster = start("--hang-timeout", "60", "--stop-timeout", "1")
    with cluster.connect() as blocked:
        blocked.send("/block/600")
        pid = int(cluster.expect(r"@blocking .*pid=(\d+)")[0][1])
        served = {get(cluster.place, "/who").json()["pid"] for _ in range(60)}
    assert pid not in served
    assert len(served) == 1


@pytest.mark.parametrize("who", ["worker 1", "agent"])
def test_a_stopped_process_is_killed_and_replaced(start: Start, who: str) -> None:
    cluster = start("--hang-timeout", "1")
    cluster.expect_ready(count=2)
    cluster.expect_ready(role="agent", slot=0)
    cluster.output.mark()
    old = cluster.pid_of(who)
    with proc.watching(old) as pidfd:
        os.kill(old, signal.SIGSTOP)
        cluster.expect(rf"{who} gen=1 pid={old} hangs")
        cluster.expect(rf"@ready role={who.split(maxsplit=1)[0]}")
        proc.wait_ended(pidfd)


def test_a_stopped_worker_costs_only_what_it_had_accepted(start: Start) -> None:
    cluster = start("--hang-timeout", "60", "--stop-timeout", "1")
    stopped = cluster.workers()[1]
    os.kill(stopped, signal.SIGSTOP)
    assert {cluster.who()["slot"] for _ in range(40)} == {2}
    os.kill(stopped, signal.SIGCONT)


def test_suspend_resume_does_not_murder_workers(start: Start) -> None:
    cluster = start("--hang-timeout", "2")
    cluster.expect_ready(count=2)
    pids = freeze(cluster)
    assert nobody_ends(pids, within=4.5)
    thaw(pids)
    # Longer than the hang timeout and the next looks.
    assert nobody_ends(pids, within=4.0)
    assert sorted(pids[1:]) == sorted(cluster.tree())
    assert cluster.get().text == "hello"
    assert "hangs" not in cluster.output.text


def test_a_master_that_stood_still_does_not_murder_workers(start: Start) -> None:
    cluster = start("--hang-timeout", "2")
    cluster.expect_ready(count=2)
    pids = list(cluster.tree())
    cluster.signal(signal.SIGSTOP)
    until = time.monotonic() + 4.5
    while time.monotonic() < until:
        assert cluster.get().text == "hello", "the workers serve on"
    cluster.signal(signal.SIGCONT)
    assert nobody_ends(pids, within=3.5)
    assert "hangs" not in cluster.output.text


def test_a_short_standstill_is_no_hang_either(start: Start) -> None:
    cluster = start("--hang-timeout", "4")
    cluster.expect_ready(count=2)
    pids = freeze(cluster)
    assert nobody_ends(pids, within=2.5)
    thaw(pids)
    assert nobody_ends(pids, within=3.0)
    assert "hangs" not in cluster.output.text


def test_hang_timeout_0_leaves_a_blocked_worker_alone(start: Start) -> None:
    cluster = start("--hang-timeout", "0", "--stop-timeout", "1")
    with cluster.connect() as connection:
        connection.send("/block/600")
        pid = int(cluster.expect(r"@blocking .*pid=(\d+)")[0][1])
        assert nobody_ends([pid], within=2.5)


def test_a_nest_that_is_stopped_is_replaced_when_it_does_not_fork(start: Start) -> None:
    cluster = start()
    cluster.expect_ready(count=2)
    cluster.output.mark()
    nest = cluster.pid_of("nest")
    os.kill(nest, signal.SIGSTOP)
    proc.end(cluster.workers()[1])
    # It is given ten seconds.
    cluster.expect(rf"nest gen=1 pid={nest} is replaced: it does not answer")
    cluster.expect_ready(slot=1)
    assert cluster.get().text == "hello"
