"""The few system calls Python has no name for, and what /proc tells; everything here is harmless, or says so, where it is missing."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Iterator

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
        with open(f"/proc/{pid}/stat", "rb") as file:
            # The command name may hold spaces and parentheses; what follows the last one does not.
            fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return None
    return fields[0].decode(), int(fields[3]), int(fields[19])


def has_in_environment(pid: int, entry: bytes) -> bool:
    """Return whether a process was started with `NAME=value` in its environment."""
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            return entry in file.read().split(b"\0")
    except OSError:
        return False


def resident_bytes() -> int:
    """Return the resident memory of this process, or 0 where /proc does not tell."""
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[1]) * _PAGE
    except OSError:
        return 0


_PAGE = os.sysconf("SC_PAGE_SIZE")
