"""When a worker leaves the next connection to another one: pure arithmetic over the scoreboard.

A worker takes a connection only while it has hardly more than the least loaded one that can take it. Others' counts only matter when they
are read, so this holds whoever the kernel wakes first: as long as no connection ends, the most loaded worker has at most `fair(least) + 1`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

PAUSE: Final = 0.001
"""Seconds a worker steps back. Long enough for another one to wake up and accept, short enough to go unnoticed should none do."""

BUSY_PAUSE: Final = 0.02
"""Seconds a worker steps back while all its threads are busy and another one has some to spare."""

RATIO: Final = 1.1
SLACK: Final = 2
"""A worker steps back above `RATIO` times the least loaded one's connections plus `SLACK`; below that, evenness is not worth a pause."""

CHURN: Final = 16
"""Up to so many connections that ended lately let a worker have as many more: where they come and go, evenness comes by itself."""

LATELY: Final = 0.1
"""Seconds that are lately."""

GRACE: Final = 0.005
"""Seconds after which a worker that does not accept may be none that is about to; and of CPU time, after which one is not."""

STARVED: Final = 1.0
"""Seconds after which a worker that gets no CPU time is waited for no longer."""


def fair(least: int, ended: int = 0) -> int:
    """Return up to how many connections a worker may have and still take one more.

    `least` is what the least loaded one has, `ended` how many connections of this one ended lately.
    """
    return int(least * RATIO) + SLACK + min(ended, CHURN)


class Run(Enum):
    """What a process is doing, as the kernel sees it."""

    RUNNABLE = "runnable"  # it runs, or would if there were a CPU for it
    ASLEEP = "asleep"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Sight:
    """A worker that should accept and has not, seen for `seconds`, in which it used `cpu` seconds."""

    run: Run
    seconds: float
    cpu: float


def is_deaf(sight: Sight) -> bool:
    """Say whether a worker is not going to accept soon: its event loop is blocked.

    One that only waits for a CPU on a busy machine is going to: it is runnable and uses none. One that sleeps although a connection is
    there sleeps somewhere else than in its event loop, which the connection would have woken; one that runs, runs something else.
    """
    if sight.seconds < GRACE:
        return False
    return sight.run is not Run.RUNNABLE or sight.cpu >= GRACE or sight.seconds >= STARVED
