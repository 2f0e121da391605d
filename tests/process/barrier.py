"""Making sure that the master has seen to everything before this moment: no sleep, it says so itself."""

from __future__ import annotations

import os
import signal

from tests.process import proc
from tests.process.harness import Cluster

_ROUNDS = 200


def wait_heard(cluster: Cluster, pid: int = 0) -> None:
    """Block until the master (`pid` where it is not the process that was started) has obeyed all signals it had when this was called.

    Of two signals that wait the lower number is delivered first, which need not be the older one; hence twice.
    """
    for _ in range(2):
        cluster.output.mark()
        os.kill(pid or cluster.pid, signal.SIGUSR2)
        cluster.expect(r"generation \d+, \d+ slots")


def zombies_of(pid: int) -> list[int]:
    """Children that ended and nobody reaped."""
    return [child for child in proc.children_of(pid) if proc.state_of(child) == "Z"]


def wait_no_zombies(cluster: Cluster, pid: int = 0) -> None:
    """Block until the master has reaped every child that ended; fail if it does not."""
    left: list[int] = []
    for _ in range(_ROUNDS):
        wait_heard(cluster, pid)
        if not (left := zombies_of(pid or cluster.pid)):
            return
    raise AssertionError(f"never reaped: {[(child, proc.title_of(child)) for child in left]}")
