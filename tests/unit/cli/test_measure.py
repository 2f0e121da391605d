"""What a process takes is measured where it exists."""

from __future__ import annotations

import os

from tamago.cli.measure import measure


def test_master_and_processes_are_measured_and_what_is_gone_keeps_what_was_told() -> None:
    me = os.getpid()
    status = {"pid": me, "processes": [{"pid": me, "rss": 0}, {"pid": 2**22 + 1, "rss": 5}, {"pid": 0, "rss": 6}, {"pid": None}]}
    measure(status)
    first, gone, unborn, none = status["processes"]  # type: ignore[misc]
    assert status["rss"] > 1 << 20  # type: ignore[operator]
    assert first["rss"] > 1 << 20
    assert first["cpu"] > 0
    assert (gone["rss"], none) == (5, {"pid": None})
    assert unborn["pid"] == 0
