"""The master's children as the kernel knows them: starts them, watches them by pidfd, reaps, signals and ends them with all their kin.

Knows pids and nothing of roles: who a process is and what its end means is the supervisor's business.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from tamago.cluster import linux
from tamago.cluster.interpreter import start_interpreter

_GROUP_GRACE = 2.0


@dataclass(slots=True)
class _Child:
    peer: int
    pid: int
    pidfd: int  # -1 where the kernel has none


class ProcessTable:
    """Everybody we started, by peer id. `on_exit(peer, status)` is called once for each, after it was reaped.

    By `marker` a process is known to be ours, however far it has strayed.
    `owns_process`: this whole process is the master (and perhaps PID 1), so that every stranger given to it is reaped as well. Embedded in
    somebody else's program only those that came from our children are.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, *, marker: str, on_exit: Callable[[int, int], None], owns_process: bool) -> None:
        self._loop = loop
        self._on_exit = on_exit
        self._owns_process = owns_process
        self._children: dict[int, _Child] = {}
        self._marker = marker
        # Invariant: sessions of children that are gone, whose members, if any, are still to be ended.
        self._sessions: set[int] = set()
        self._forks_pending = 0
        # Kept open for the pidfds of those to come: a process that exists already must not fail for want of a descriptor.
        self._spare: list[int] = []
        self.strangers_reaped = 0

    def __contains__(self, peer: int) -> bool:
        return peer in self._children

    def pid_of(self, peer: int) -> int:
        """Return the pid of a live child."""
        return self._children[peer].pid

    def pidfd_of(self, peer: int) -> int:
        """Return the pidfd of a live child; -1 where there are none."""
        return self._children[peer].pidfd

    def pids(self) -> list[int]:
        return [child.pid for child in self._children.values()]

    # ── birth ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def start(self, peer: int, module: str, channel_fd: int, *arguments: str) -> int:
        """Start a fresh interpreter on `module` and take it on; return its pid. Raises OSError."""
        self._keep_spare()
        try:
            pid = start_interpreter(module, channel_fd, *arguments, marker=self._marker)
        except OSError:
            self._let_go_of_spare()
            raise
        self.adopt(peer, pid)
        return pid

    def may_adopt(self, pid: int) -> bool:
        """Return whether a process is a child that the kernel gave us and that we do not know yet, so that we may watch and signal it."""
        return linux.parent_of(pid) == os.getpid() and pid not in self.pids()

    def adopt(self, peer: int, pid: int) -> None:
        """Take on a child that is there already, such as one the nest forked; the kernel has made us its parent."""
        if self._spare:
            self._let_go_of_spare()
        pidfd = -1
        if hasattr(os, "pidfd_open"):
            pidfd = os.pidfd_open(pid)
            self._loop.add_reader(pidfd, self._ended, peer)
        self._children[peer] = _Child(peer, pid, pidfd)

    def fork_asked(self) -> None:
        """A nest is about to be asked to fork: until it says what came of it, a child unknown to us may be that one. Raises OSError."""
        self._keep_spare()
        self._forks_pending += 1

    def fork_settled(self) -> None:
        """What came of a fork is known, and the child adopted if there is one."""
        self._forks_pending -= 1
        if len(self._spare) > self._forks_pending:
            self._let_go_of_spare()
        # Who ended meanwhile was left alone, and no signal will tell again.
        self.on_sigchld()

    def _keep_spare(self) -> None:
        self._spare.append(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))

    def _let_go_of_spare(self) -> None:
        os.close(self._spare.pop())

    # ── death ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _ended(self, peer: int) -> None:
        child = self._children[peer]
        status = self._reap(child)
        if status is None:
            return
        if child.pidfd >= 0:
            self._loop.remove_reader(child.pidfd)
            os.close(child.pidfd)
        del self._children[peer]
        self._on_exit(peer, status)

    def _reap(self, child: _Child) -> int | None:
        """Return how it ended, negative for a signal; None if it has not."""
        # Look first: while it is a zombie its pid is nobody else's, so its group can be signalled safely.
        try:
            found = os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return 1  # somebody else in this process reaped it
        if found is None:
            return None
        self._end_group(child.pid)
        _, raw = os.waitpid(child.pid, 0)
        return os.waitstatus_to_exitcode(raw)

    def _end_group(self, leader: int) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(leader, signal.SIGTERM)
        self._sessions.add(leader)
        self._loop.call_later(_GROUP_GRACE, self._sweep, leader)

    def _sweep(self, session: int) -> None:
        for pid in self._strangers():
            stat = linux.stat_of(pid)
            if stat is not None and stat[1] == session:
                _kill(pid)
        self._sessions.discard(session)

    def on_sigchld(self) -> None:
        """Reap whoever was given to us by the kernel. A pid that a nest may be about to name is left for later."""
        for peer in list(self._children) if not hasattr(os, "pidfd_open") else ():
            self._ended(peer)
        if self._forks_pending:
            return
        for pid in self._strangers():
            stat = linux.stat_of(pid)
            if stat is not None and stat[0] == "Z" and (self._owns_process or stat[1] in self._sessions):
                self._reap_stranger(pid)

    def _reap_stranger(self, pid: int) -> None:
        try:
            os.waitpid(pid, os.WNOHANG)
        except ChildProcessError:
            return
        self.strangers_reaped += 1

    def _strangers(self) -> list[int]:
        known = set(self.pids())
        return [pid for pid in linux.children_of(os.getpid()) if pid not in known]

    # ── signals ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def send(self, peer: int, number: int) -> None:
        """Send a signal; a child that just died gets none, and nobody else does either."""
        child = self._children.get(peer)
        if child is None:
            return  # reaped; whoever commands this will hear of it next
        try:
            if child.pidfd >= 0:
                signal.pidfd_send_signal(child.pidfd, number)
            else:
                os.kill(child.pid, number)
        except ProcessLookupError:
            return

    def kill(self, peer: int) -> None:
        """SIGKILL a child and everything that descends from it."""
        if peer in self._children:
            for pid in list(linux.descendants_of(self._children[peer].pid)):
                _kill(pid)
            self.send(peer, signal.SIGKILL)

    def end_strays(self, grace: float = 1.0) -> int:
        """End what our children left behind, wherever it hid (its own session, a double fork); return how many had to be killed.

        They got SIGTERM when their parent ended. Blocks for at most twice `grace`: the cluster is gone and nothing is left to supervise.
        """
        linux.wait_ended(self._ours(), grace)
        killed = 0
        deadline = time.monotonic() + grace
        # Each round can bring to light who was hidden behind its parent.
        while (strays := self._ours()) and time.monotonic() < deadline:
            for pid in strays:
                _kill(pid)
            killed += len(strays)
            linux.wait_ended(strays, grace)
            for pid in strays:
                self._reap_stranger(pid)
        return killed

    def _ours(self) -> list[int]:
        found: list[int] = []
        for pid in self._strangers():
            stat = linux.stat_of(pid)
            if stat is None:
                continue
            if stat[0] == "Z":
                if self._owns_process or stat[1] in self._sessions:
                    self._reap_stranger(pid)
            elif stat[1] in self._sessions or linux.is_of_run(pid, self._marker):
                found.append(pid)
        return found


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return
