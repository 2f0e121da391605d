"""What /proc says about a tree of processes: who is in it, what memory it holds, what CPU time it used. Changes nothing."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class Process:
    """One incarnation: a pid may be used again, a pid with its start time is not."""

    pid: int
    started: int


def _stat(pid: int) -> list[str]:
    # The name is in parentheses and may hold spaces and parentheses itself, so count from the last one.
    return (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()


def is_alive(process: Process) -> bool:
    """Tell whether it runs; a zombie does not."""
    try:
        fields = _stat(process.pid)
    except (FileNotFoundError, ProcessLookupError):
        return False
    return int(fields[19]) == process.started and fields[0] != "Z"


def identify(pid: int) -> Process | None:
    with suppress(FileNotFoundError, ProcessLookupError):
        return Process(pid, int(_stat(pid)[19]))
    return None


def tree(root: int) -> list[Process]:
    """Return `root` and all its descendants that live now."""
    children: dict[int, list[Process]] = defaultdict(list)
    for entry in os.listdir(PROC):
        if entry.isdigit():
            with suppress(FileNotFoundError, ProcessLookupError):
                fields = _stat(int(entry))
                children[int(fields[1])].append(Process(int(entry), int(fields[19])))
    found = [process] if (process := identify(root)) else []
    for process in found:  # grows while we walk it
        found += children[process.pid]
    return found


def pss(processes: Iterable[Process]) -> int:
    """Return bytes of memory, each shared page counted once over all that map it, machine-wide."""
    return sum(_rollup(process.pid, "Pss:") for process in processes)


def private(processes: Iterable[Process]) -> int:
    """Return bytes that nobody else maps."""
    return sum(_rollup(p.pid, "Private_Clean:") + _rollup(p.pid, "Private_Dirty:") for p in processes)


def rss(process: Process) -> int:
    return _rollup(process.pid, "Rss:")


def _rollup(pid: int, key: str) -> int:
    with suppress(FileNotFoundError, ProcessLookupError):
        for line in (PROC / str(pid) / "smaps_rollup").read_text().splitlines():
            if line.startswith(key):
                return int(line.split()[1]) * 1024
    return 0


def cpu_seconds(processes: Iterable[Process]) -> float:
    """Return CPU time used so far by all threads that live. `schedstat` counts nanoseconds where `stat` counts ticks of 10 ms."""
    total = 0
    for process in processes:
        with suppress(FileNotFoundError, ProcessLookupError):
            for thread in os.listdir(PROC / str(process.pid) / "task"):
                with suppress(FileNotFoundError, ProcessLookupError):
                    total += int((PROC / str(process.pid) / "task" / thread / "schedstat").read_text().split()[0])
    return total / 1e9
