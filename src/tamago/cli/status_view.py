"""A status as text: what each column shows, and the plain lines for a pipe or a file. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

COLUMNS: Final = ("PROCESS", "PID", "STATE", "UPTIME", "REQUESTS", "IN FLIGHT", "RSS", "CPU", "RESTARTS", "LAST EXIT")
_UNITS: Final = ((86_400, "d"), (3600, "h"), (60, "m"))


def duration(seconds: float) -> str:
    """Write seconds in the two largest units.

    >>> duration(0.4), duration(75), duration(90_061)
    ('0s', '1m 15s', '1d 1h')
    """
    left = int(seconds)
    parts = []
    for size, unit in _UNITS:
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count}{unit}")
    parts.append(f"{left}s")
    return " ".join(parts[:2])


def size(count: float) -> str:
    """Write bytes in MiB.

    >>> size(12_582_912)
    '12.0 MiB'
    """
    return f"{count / (1 << 20):.1f} MiB"


def heading(status: dict[str, Any]) -> str:
    """Say in one line what runs where."""
    state = "degraded" if status.get("degraded") else status["state"]
    facts = [f"pid {status['pid']}"]
    if status.get("generation"):
        facts.append(f"generation {status['generation']}")
    if "uptime" in status:
        facts.append(f"up {duration(status['uptime'])}")
    if status.get("rss"):
        facts.append(size(status["rss"]))
    where = ", ".join(status.get("addresses", []))
    return f"{status['title']}: {state} ({', '.join(facts)}){' on ' + where if where else ''}"


def name_of(process: dict[str, Any]) -> str:
    """Name a process as the log does."""
    return f"worker {process['slot']}" if process["role"] == "worker" else str(process["role"])


def cells(process: dict[str, Any]) -> tuple[str, ...]:
    """Return what each column shows for a process."""
    worker = process["role"] == "worker"
    uptime = process.get("uptime") or 0.0
    return (
        name_of(process),
        str(process.get("pid") or "-"),
        str(process.get("state", "")),
        duration(uptime),
        str(process.get("requests", 0)) if worker else "",
        str(process.get("in_flight", 0)) if worker else "",
        size(process["rss"]) if process.get("rss") else "",
        duration(process["cpu"]) if process.get("cpu", 0) >= 60 else f"{process.get('cpu', 0):.1f}s",
        str(process.get("restarts", 0)),
        str(process.get("last_exit") or ""),
    )


def plain(status: dict[str, Any]) -> Iterator[str]:
    """Yield the lines for a pipe or a file."""
    yield heading(status)
    if "problem" in status:
        yield f"  {status['problem']}"
    rows = [COLUMNS, *(cells(process) for process in status["processes"])]
    if len(rows) == 1:
        return
    widths = [max(len(row[column]) for row in rows) for column in range(len(COLUMNS))]
    for row in rows:
        yield ("  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))).rstrip()
