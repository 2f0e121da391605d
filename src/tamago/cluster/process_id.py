"""Which process a number means: a pid alone is reused, a pid with its start time and the boot of the machine is not."""

from __future__ import annotations

import os
from pathlib import Path


def start_time(pid: int) -> int:
    """Return when the process started, in clock ticks since boot (field 22 of /proc/<pid>/stat); 0 if it is gone or unknown."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return 0
    # The name in parentheses may itself contain spaces and parentheses.
    return int(stat.rpartition(b")")[2].split()[19])


def boot_id() -> str:
    """Return a name for this boot of the machine; empty where there is none."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    except OSError:
        return ""


def is_same_process(pid: int, started: int) -> bool:
    """Return whether the process that had this pid and start time still exists. A zombie does not count as existing."""
    if pid <= 0:
        return False
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return _exists(pid) if not os.path.isdir("/proc/self") else False
    return stat[0] not in (b"Z", b"X") and (not started or int(stat[19]) == started)


def owner_of(pid: int) -> int | None:
    """Return the uid the process runs as, or None if it is gone."""
    try:
        return os.stat(f"/proc/{pid}").st_uid
    except OSError:
        return None


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
