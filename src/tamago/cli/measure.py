"""Memory and CPU of processes as the kernel sees them now, for a status that is shown to people."""

from __future__ import annotations

from typing import Any

import psutil


def measure(status: dict[str, Any]) -> None:
    """Put `rss` (bytes) and `cpu` (seconds) into a status: the master's at the top, each process's into its entry.

    What cannot be measured keeps what the master said.
    """
    for entry in (status, *status.get("processes", [])):
        pid = entry.get("pid")
        # psutil takes None for this process.
        if not isinstance(pid, int) or pid <= 0:
            continue
        try:
            process = psutil.Process(pid)
            with process.oneshot():
                times = process.cpu_times()
                entry["rss"], entry["cpu"] = process.memory_info().rss, times.user + times.system
        except (psutil.Error, OSError):
            # It is gone by now.
            continue
