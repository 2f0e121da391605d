"""The arithmetic of supervision: how long to wait after a death, and when to give up. No state but numbers."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

FIRST_PAUSE = 0.5
LONGEST_PAUSE = 30.0
# A process that was ready for this long starts a new count: its death has nothing to do with the former ones.
QUIET_PERIOD = 60.0
# How long a process has to write its stacks before it is killed. The dump is made by a C signal handler, within
# milliseconds unless the machine is very busy.
DUMP_GRACE = 1.0
# How long a process may live on after it closed its channel: a normal exit closes it a moment before.
CHANNEL_GRACE = 2.0
# SIGKILL cannot be refused, but a process in an uninterruptible system call dies only when that call returns.
KILL_PATIENCE = 10.0
# A nest has nothing to finish: SIGTERM ends it, unless the application took that signal for itself while it was imported.
NEST_PATIENCE = 2.0
# A process that said why it cannot boot exits right after, unless it left threads behind that do not end.
FAILED_GRACE = 2.0
# A nest answers an order within milliseconds; this long without an answer and it is stopped or broken.
FORK_PATIENCE = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What the supervisor needs of the settings. Times in seconds."""

    workers: int
    agent: bool = True
    boot_timeout: float = 60.0
    stop_timeout: float = 30.0
    drain_delay: float = 0.0
    reload_batch: int = 1
    max_restarts: int = 0
    max_restarts_period: float = 60.0


def restart_pause(failures: int, jitter: float) -> float:
    """Return the seconds to wait before the next try, after this many deaths in a row.

    The first is replaced at once; then 0.5 s, doubled each time up to 30 s. `jitter` in 0..1 takes up to a quarter off, so that slots that
    died together do not come back together.

    >>> [restart_pause(n, 0.0) for n in (1, 2, 3, 4, 8, 20)]
    [0.0, 0.5, 1.0, 2.0, 30.0, 30.0]
    """
    if failures <= 1:
        return 0.0
    # The exponent is bounded: 2**1000 is no pause, it is an OverflowError.
    pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(failures - 2, 16))
    return pause * (1.0 - jitter / 4)


@dataclass(slots=True)
class Failures:
    """The deaths in a row of one seat (a slot, the agent, a nest)."""

    count: int = 0

    def add(self, *, ready_for: float) -> None:
        """Count a death of a process that had been ready for this many seconds."""
        self.count = 1 if ready_for >= QUIET_PERIOD else self.count + 1


@dataclass(slots=True)
class RestartBudget:
    """At most `limit` unexpected deaths in `period` seconds, all processes together; `limit` 0 means no limit."""

    limit: int
    period: float
    _times: deque[float] = field(default_factory=deque)

    def spend(self, now: float) -> bool:
        """Count a death; return whether the budget is used up."""
        if not self.limit:
            return False
        self._times.append(now)
        while self._times and self._times[0] <= now - self.period:
            self._times.popleft()
        return len(self._times) > self.limit
