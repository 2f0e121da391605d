"""The few system calls Python has no name for, and what /proc tells; everything here is harmless, or says so, where it is missing."""

from __future__ import annotations

import ctypes
import os
import select
import signal
import sys
import time
from collections.abc import Collection, Iterable, Iterator

from tamago.cluster.balance import Run
from tamago.cluster.interpreter import MARKER

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36

# Dumps all Python stacks. A real-time signal, because applications use SIGUSR1 and SIGUSR2 for themselves.
DUMP_SIGNAL = signal.SIGRTMIN + 5 if hasattr(signal, "SIGRTMIN") else signal.SIGUSR2


def _prctl(option: int, value: int) -> bool:
    if sys.platform != "linux":
        return False
    return bool(ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0) == 0)


def become_subreaper() -> bool:
    """Make orphaned descendants our children (PR_SET_CHILD_SUBREAPER, prctl(2)); return whether the kernel can."""
    return _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def die_with_parent(parent: int, *, armed: bool = True) -> None:
    """Be killed when the parent dies (PR_SET_PDEATHSIG), or no more. Exit now if it died before we asked."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL if armed else 0)
    if armed and os.getppid() != parent:
        os._exit(1)


def children_of(pid: int) -> list[int]:
    """Return the direct children of a process, zombies included; empty where the kernel does not tell."""
    found: list[int] = []
    try:
        threads = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return found
    for thread in threads:
        try:
            with open(f"/proc/{pid}/task/{thread}/children", "rb") as file:
                found += map(int, file.read().split())
        except OSError:
            continue
    return found


def descendants_of(pid: int) -> Iterator[int]:
    """Yield all descendants that still hang together with `pid`, parents first."""
    queue = children_of(pid)
    while queue:
        child = queue.pop()
        yield child
        queue += children_of(child)


def stat_of(pid: int) -> tuple[str, int, int] | None:
    """Return (state letter, session id, start time in clock ticks) of a process; None if it is gone."""
    try:
        fields = _stat_fields(pid)
    except OSError:
        return None
    return fields[0].decode(), int(fields[3]), int(fields[19])


def parent_of(pid: int) -> int:
    """Return the parent of a process, of a zombie as well; 0 if it is gone or there is no such process."""
    try:
        return int(_stat_fields(pid)[1])
    except OSError:
        return 0


def _stat_fields(pid: int) -> list[bytes]:
    """Return the fields of /proc/PID/stat from the state on. Raises OSError for a process that is gone."""
    with open(f"/proc/{pid}/stat", "rb") as file:
        # The command name may hold spaces and parentheses; what follows the last one does not.
        return file.read().rpartition(b")")[2].split()


def run_state_of(pid: int) -> tuple[Run, float]:
    """Return what the main thread of a process is doing, and the CPU time in seconds it has used; (UNKNOWN, 0.0) where that is not told."""
    try:
        state = _stat_fields(pid)[0]
        with open(f"/proc/{pid}/schedstat", "rb") as file:
            used = int(file.read().split()[0]) / 1e9
    except (OSError, IndexError, ValueError):
        return Run.UNKNOWN, 0.0
    return (Run.RUNNABLE if state == b"R" else Run.ASLEEP), used


def is_of_run(pid: int, marker: str) -> bool:
    """Return whether a process descends from the cluster that this marker was made for.

    One that was exec'd has it in its environment. One that was only forked shows none (a title is written over it), but it still has the
    scoreboard mapped, whose name holds the marker; closing all descriptors, as daemons do, leaves it there.
    """
    return _holds(f"/proc/{pid}/environ", f"{MARKER}={marker}".encode()) or _holds(f"/proc/{pid}/maps", memory_name(marker).encode())


def memory_name(marker: str) -> str:
    """Name the shared memory of a cluster, so that its processes are known by it."""
    return f"tamago-{marker}"


def _holds(path: str, what: bytes) -> bool:
    try:
        with open(path, "rb") as file:
            return what in file.read()
    except OSError:
        return False


def members_of(sessions: Collection[int], marker: str) -> list[int]:
    """Return the live processes in these sessions; the marker tells them from strangers who got an old number."""
    found: list[int] = []
    for name in os.listdir("/proc") if os.path.isdir("/proc/self") else ():
        stat = stat_of(int(name)) if name.isdecimal() else None
        if stat is not None and stat[0] != "Z" and stat[1] in sessions and is_of_run(int(name), marker):
            found.append(int(name))
    return found


def wait_ended(pids: Iterable[int], seconds: float) -> None:
    """Wait until all these processes ended, or the time is over."""
    poll = select.poll()
    open_fds: set[int] = set()
    for pid in pids:
        try:
            open_fds.add(fd := os.pidfd_open(pid))
        except (OSError, AttributeError):
            continue
        poll.register(fd, select.POLLIN)
    deadline = time.monotonic() + seconds
    while open_fds and (left := deadline - time.monotonic()) > 0:
        for fd, _ in poll.poll(left * 1000):
            poll.unregister(fd)
            os.close(fd)
            open_fds.discard(fd)
    for fd in open_fds:
        os.close(fd)


def resident_bytes() -> int:
    """Return the resident memory of this process, or 0 where /proc does not tell."""
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[1]) * _PAGE
    except OSError:
        return 0


_PAGE = os.sysconf("SC_PAGE_SIZE")
