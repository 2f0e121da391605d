"""A status as people read it."""

from __future__ import annotations

from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from tamago.cli.status import is_well
from tamago.cli.status_tree import status_tree
from tamago.cli.status_view import duration, heading, plain, size

WORKER: dict[str, Any] = {
    "role": "worker",
    "slot": 2,
    "pid": 11,
    "state": "ready",
    "uptime": 75.0,
    "requests": 3,
    "in_flight": 1,
    "rss": 20 << 20,
    "cpu": 1.26,
    "restarts": 1,
    "last_exit": "signal SIGKILL",
}
STATUS: dict[str, Any] = {
    "title": "shop",
    "state": "ready",
    "ready": True,
    "degraded": False,
    "pid": 10,
    "generation": 2,
    "uptime": 90_061.0,
    "addresses": ["http://127.0.0.1:8000"],
    "processes": [{"role": "agent", "slot": 0, "pid": 12, "state": "booting"}, WORKER],
}


@pytest.mark.parametrize(("seconds", "text"), [(0.4, "0s"), (59, "59s"), (60, "1m 0s"), (3_700, "1h 1m"), (90_061, "1d 1h")])
def test_a_duration_has_the_two_largest_units(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_memory_is_in_mebibytes() -> None:
    assert size(12_582_912) == "12.0 MiB"


def test_the_plain_form_has_a_line_for_each_process() -> None:
    assert list(plain(STATUS)) == [
        "shop: ready (pid 10, generation 2, up 1d 1h) on http://127.0.0.1:8000",
        "  PROCESS   PID  STATE    UPTIME  REQUESTS  IN FLIGHT  RSS       CPU   RESTARTS  LAST EXIT",
        "  agent     12   booting  0s                                     0.0s  0",
        "  worker 2  11   ready    1m 15s  3         1          20.0 MiB  1.3s  1         signal SIGKILL",
    ]


def test_a_master_that_does_not_answer_is_told_with_what_is_known() -> None:
    unknown = {"title": "shop", "state": "unknown", "pid": 10, "addresses": [], "problem": "silent", "processes": []}
    assert list(plain(unknown)) == ["shop: unknown (pid 10)", "  silent"]


def test_the_tree_shows_the_same() -> None:
    stream = StringIO()
    Console(file=stream, width=140).print(status_tree(STATUS))
    for word in ("shop: ready", "worker 2", "signal SIGKILL", "20.0 MiB", "booting"):
        assert word in stream.getvalue()


def test_degraded_is_told_in_the_heading() -> None:
    assert heading({**STATUS, "degraded": True}).startswith("shop: degraded (")


def test_well_is_ready_and_not_degraded() -> None:
    assert is_well(STATUS)
    assert not is_well({**STATUS, "degraded": True})
    assert not is_well({"state": "unknown"})
