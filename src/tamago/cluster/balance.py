"""When a worker leaves the next connection to another one: pure arithmetic over the scoreboard."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

PAUSE: Final = 0.005
"""Seconds a worker steps back. Long enough for another to wake up and accept, short enough to go unnoticed should none do."""

BUSY_PAUSE: Final = 0.02
"""Seconds a worker steps back while all its threads are busy and another one has some to spare."""

RATIO: Final = 1.25
SLACK: Final = 8
"""A worker steps back above `RATIO` times the least loaded one's connections plus `SLACK`; below that, evenness is not worth a pause."""


def pause(own: int, others: Iterable[int]) -> float:
    """Return for how many seconds to step back, given the open connections here and in each other worker that lives and accepts."""
    least = min(others, default=None)
    if least is None or own <= least * RATIO + SLACK:
        return 0.0
    return PAUSE
