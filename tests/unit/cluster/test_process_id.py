"""A pid with a start time means one process and no other."""

from __future__ import annotations

import os
import subprocess
import sys

from tamago.cluster.process_id import boot_id, is_same_process, owner_of, start_time


def test_this_process_is_itself_and_nobody_else() -> None:
    me = os.getpid()
    assert is_same_process(me, start_time(me))
    assert not is_same_process(me, start_time(me) - 1)
    assert owner_of(me) == os.geteuid()
    assert boot_id() == boot_id() != ""


def test_a_zombie_and_a_reaped_process_are_gone() -> None:
    with subprocess.Popen([sys.executable, "-S", "-c", "input()"], stdin=subprocess.PIPE) as child:
        started = start_time(child.pid)
        assert is_same_process(child.pid, started)
        assert child.stdin
        child.stdin.close()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert not is_same_process(child.pid, started)
    assert not is_same_process(child.pid, started)
    assert start_time(child.pid) == 0
    assert owner_of(child.pid) is None


def test_no_pid_is_no_process() -> None:
    assert not is_same_process(0, 0)
    assert not is_same_process(-1, 0)
