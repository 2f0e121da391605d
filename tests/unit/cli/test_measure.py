"""What a process takes is measured where it exists."""

from __future__ import annotations

import os
from typing import Any

from tamago.cli.measure import measure


def test_master_and_processes_are_measured() -> None:
    status: dict[str, Any] = {"pid": os.getpid(), "processes": [{"pid": os.getpid(), "rss": 0}]}
    measure(status)
    assert status["rss"] > 1 << 20
    assert status["processes"][0]["rss"] > 1 << 20
    assert status["processes"][0]["cpu"] > 0


def test_what_is_gone_or_not_there_yet_keeps_what_was_told() -> None:
    processes: list[dict[str, Any]] = [{"pid": 2**22 + 1, "rss": 5}, {"pid": 0, "rss": 6}, {"pid": None}, {}]
    measure({"processes": processes})
    assert processes == [{"pid": 2**22 + 1, "rss": 5}, {"pid": 0, "rss": 6}, {"pid": None}, {}]
