"""One worker's eye on the others: whether the next connection is its own to take.

Reads the scoreboard and, about a worker that keeps others waiting, what the kernel says of it. What follows from that is balance.py's.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from tamago.cluster import linux
from tamago.cluster.balance import BUSY_PAUSE, GRACE, LATELY, PAUSE, SLACK, Sight, fair, is_deaf
from tamago.cluster.scoreboard import Scoreboard

# Nanoseconds without being asked after which nobody was waiting in between, most likely, so what was seen before means nothing.
_LULL = 50_000_000

_LATELY = int(LATELY * 1e9)


@dataclass(slots=True)
class _Watch:
    """A worker that is waited for: since when (ns), the signs of life it had, and the CPU time (s) it had used when first looked at."""

    signs: tuple[int, ...]
    since: int
    cpu: float | None = None


def never() -> float:
    """Take every connection, where it can be nobody else's."""
    return 0.0


class AcceptPause:
    """Asked by one worker before each accept: for how many seconds to leave the connection to another worker (0.0: take it).

    It steps back as long as a worker with clearly fewer connections is about to accept. For one whose event loop turns out to be blocked
    it does so no more, until that one shows that it lives.
    """

    def __init__(self, scoreboard: Scoreboard, index: int) -> None:
        self._scoreboard = scoreboard
        self._index = index
        self._row = scoreboard.row(index)
        self._watched: dict[int, _Watch] = {}  # by row
        self._deaf: dict[int, tuple[int, ...]] = {}  # rows we wait for no more, and the signs of life they had
        self._asked = 0
        self._ended = (0, 0, 0)  # since when (ns) how many had ended, and how many in the time before

    def __call__(self) -> float:
        """Return how long to step back."""
        own = self._row.connections
        busy = self._row.busy_since
        if own <= SLACK and not busy:
            return self._take()
        now = time.monotonic_ns()
        if busy and self._scoreboard.somebody_is_free(self._index, now):
            return BUSY_PAUSE
        ended = self._ended_lately(now)
        if own <= fair(0, ended):
            return self._take()  # whatever the others have
        others = self._scoreboard.connections_elsewhere(self._index, now)
        if not others or own <= fair(min(others)[0], ended) or self._all_before_are_deaf(own, ended, others, now):
            return self._take()
        return PAUSE

    def _take(self) -> float:
        """Take the connection: until the next one comes, others may sleep for want of work."""
        self._watched.clear()
        return 0.0

    def _ended_lately(self, now: int) -> int:
        """Return how many of our connections ended in the last one or two times `LATELY`."""
        since, count, before = self._ended
        ended = self._row.ended
        if now - since > 2 * _LATELY:
            self._ended = (now, ended, 0)
            return 0
        if now - since > _LATELY:
            self._ended = (now, ended, ended - count)
        return ended - count + before

    def _all_before_are_deaf(self, own: int, ended: int, others: list[tuple[int, int]], now: int) -> bool:
        if now - self._asked > _LULL:
            self._watched.clear()
        self._asked = now
        for rank, (connections, row) in enumerate(sorted(others), start=1):
            if own <= fair(connections, ended):
                return True
            # Only the first is sure to be awake; the next ones step back as we do, and need as long to find out about those before them.
            if not self._is_deaf(row, now, rank):
                return False
        return True

    def _is_deaf(self, index: int, now: int, rank: int) -> bool:
        row = self._scoreboard.row(index)
        signs = row.signs_of_life
        if self._deaf.get(index) == signs:
            return True
        watch = self._watched.get(index)
        if watch is None or watch.signs != signs:
            self._deaf.pop(index, None)
            self._watched[index] = _Watch(signs, now)
            return False
        seconds = (now - watch.since) / 1e9 / rank
        if seconds < GRACE:
            return False  # asking the kernel costs more than all the rest
        run, cpu = linux.run_state_of(row.pid)
        if watch.cpu is None:
            watch.cpu = cpu
        if is_deaf(Sight(run, seconds, cpu - watch.cpu)):
            self._deaf[index] = signs
            return True
        return False
