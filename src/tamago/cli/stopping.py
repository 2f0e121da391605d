"""Ends one cluster: asks its master; where that does not answer, kills it; then sees to it that nothing is left.

Whoever is signalled is known by pid, start time and user. If that does not fit, nobody is.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tamago.cli.process_handle import ProcessHandle
from tamago.cluster.control_client import ControlClient, MasterGoneError, MasterSilentError
from tamago.cluster.control_protocol import Reply
from tamago.cluster.linux import descendants_of
from tamago.cluster.process_id import boot_id, start_time
from tamago.cluster.rundir import RunDir
from tamago.cluster.running import Running
from tamago.errors import TamagoError

Say = Callable[[str], None]

RELEASE_SECONDS = 10.0
"""How long a master that said it is done may take to be gone."""
LEAVE_SECONDS = 30.0
"""How long a master without a control socket, and the children of a killed one, may take to finish."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopped:
    """How a stop ended: `killed` counts the processes that did not leave by themselves."""

    title: str
    seconds: float
    killed: int


class CannotStopError(TamagoError):
    """The cluster is still there."""

    def __init__(self, title: str, why: str) -> None:
        super().__init__(f"cannot stop {title}: {why}", hint=f"see `tamago status --title {title}` and `tamago logs --title {title}`")


def stop_cluster(base: Path, running: Running, *, timeout: float | None, now: bool, say: Say) -> Stopped:
    """Stop a cluster and wait until nothing of it is left."""
    began = time.monotonic()
    with RunDir(base, running.title, create=False) as rundir:
        children = _children(rundir)
        killed = _ask(base, running, rundir, timeout=timeout, now=now, say=say)
        if killed is None:
            say(f"{running.title}: its master does not answer and is killed")
            killed = _kill(running, rundir, children, LEAVE_SECONDS if timeout is None else timeout, say)
    return Stopped(title=running.title, seconds=time.monotonic() - began, killed=killed)


def _ask(base: Path, running: Running, rundir: RunDir, *, timeout: float | None, now: bool, say: Say) -> int | None:
    """Ask the master to stop everything. Returns how many it had to kill, or None if it has to be killed itself."""

    def show(reply: Reply) -> None:
        if text := progress_text(reply):
            say(f"{running.title}: {text}")

    killed = 0
    with ProcessHandle(running.owner.pid, running.owner.start_time) as master:
        try:
            with ControlClient(base, running.title) as client, suppress(MasterGoneError):
                killed = killed_count(client.call("stop", {"timeout": timeout, "now": now}, on_event=show))
        except MasterSilentError:
            return None
        except MasterGoneError:
            return _terminate(running, rundir, LEAVE_SECONDS if timeout is None else timeout)
        # It lets go of the lock a moment before it is gone itself.
        gone = rundir.wait_released(RELEASE_SECONDS) and (master.wait(RELEASE_SECONDS) or not master.found)
    return killed if gone else None


def _terminate(running: Running, rundir: RunDir, seconds: float) -> int | None:
    """Stop a master that listens no more, because it is leaving, or not yet, because it just began."""
    # Whoever is leaving must not be told to hurry: a second SIGTERM means now.
    if rundir.wait_released(1.0):
        return 0
    with ProcessHandle(running.owner.pid, running.owner.start_time) as master:
        master.send(signal.SIGTERM)
    return 0 if rundir.wait_released(seconds) else None


def killed_count(result: dict[str, Any]) -> int:
    """Return how many processes the master had to kill: it tells a number, or their pids."""
    killed = result.get("killed", 0)
    return len(killed) if isinstance(killed, list) else int(killed)


def progress_text(reply: Reply) -> str:
    """Say who is still draining."""
    if reply.data and (left := reply.data.get("draining")):
        return "still draining: " + ", ".join(str(each) for each in left)
    return reply.text


def _kill(running: Running, rundir: RunDir, children: list[tuple[int, int]], seconds: float, say: Say) -> int:
    owner = running.owner
    if owner.boot_id != boot_id():
        raise CannotStopError(running.title, "its lock is held by a process that is not known")
    with ProcessHandle(owner.pid, owner.start_time) as master:
        if not master.found:
            raise CannotStopError(running.title, f"pid {owner.pid} is not the process that started it, so nobody was signalled")
        master.send(signal.SIGKILL)
        if not master.wait(RELEASE_SECONDS) or not rundir.wait_released(RELEASE_SECONDS):
            raise CannotStopError(running.title, f"pid {owner.pid} does not die")
    rundir.clear()
    return 1 + _wait_for(running.title, children, seconds, say)


def _wait_for(title: str, children: list[tuple[int, int]], seconds: float, say: Say) -> int:
    """Give the children of a killed master time to finish what is in flight, then kill those that are left; count these."""
    deadline = time.monotonic() + seconds
    killed = 0
    for pid, started in children:
        with ProcessHandle(pid, started) as child:
            if child.wait(0):
                continue
            say(f"{title}: waiting for pid {pid}")
            if not child.wait(deadline - time.monotonic()):
                child.send(signal.SIGKILL)
                child.wait(RELEASE_SECONDS)
                killed += 1
    return killed


def _children(rundir: RunDir) -> list[tuple[int, int]]:
    """Return pid and start time of every process of the cluster, while the master still holds them together."""
    owner = rundir.read_owner()
    if owner is None or not owner.is_alive:
        return []
    return [(pid, start_time(pid)) for pid in descendants_of(owner.pid) if pid != os.getpid()]
