"""Looks at the scoreboard once a second: who hangs, and who served, lived or grew enough. Pure: rows and times in, events out."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

from tamago.cluster.events import ProcessHung, RecycleDue
from tamago.cluster.settings import Settings

# Seconds between two looks, and between two heartbeats of a process.
INTERVAL = 1.0
_SECOND = 1_000_000_000
_MIB = 1024 * 1024


class Figures(Protocol):
    """The part of a scoreboard row that is looked at. Times are CLOCK_MONOTONIC in ns."""

    @property
    def peer(self) -> int: ...
    @property
    def heartbeat(self) -> int: ...
    @property
    def busy_since(self) -> int: ...
    @property
    def requests(self) -> int: ...
    @property
    def rss(self) -> int: ...


@dataclass(slots=True)
class _Limits:
    requests: int
    lifetime: float
    since: int


class Monitor:
    """Keeps who is watched. `random` returns 0..1 and spreads the limits, so that workers do not recycle together."""

    def __init__(self, settings: Settings, *, random: Callable[[], float]) -> None:
        self._settings = settings
        self._random = random
        self._limits: dict[int, _Limits] = {}
        self._last = 0
        # When we did not run ourselves, newest last: (until, for how long).
        self._standstills: deque[tuple[int, int]] = deque(maxlen=16)

    def use(self, settings: Settings) -> None:
        """Take new settings, after a reload."""
        self._settings = settings

    def watch(self, peer: int, now: int) -> None:
        """Begin to watch a process that is ready."""
        self._last = self._last or now
        settings = self._settings
        self._limits[peer] = _Limits(
            requests=settings.max_requests and settings.max_requests + int(self._random() * settings.max_requests_jitter),
            lifetime=settings.max_lifetime and settings.max_lifetime + self._random() * settings.max_lifetime_jitter,
            since=now,
        )

    def forget(self, peer: int) -> None:
        """Stop watching a process that leaves or is gone."""
        self._limits.pop(peer, None)

    def check(self, rows: Iterable[Figures], now: int) -> list[ProcessHung | RecycleDue]:
        """Return what is due at `now`, in ns."""
        self._notice_gap(now)
        found: list[ProcessHung | RecycleDue] = []
        for row in rows:
            limits = self._limits.get(row.peer)
            if limits is None:
                continue
            event = self._hang(row, limits, now) or self._excess(row, limits, now)
            if event is not None:
                found.append(event)
        return found

    def _notice_gap(self, now: int) -> None:
        # If we did not run ourselves (the machine slept, we were stopped, the whole group was frozen), nobody else is to blame for not
        # having run either: that time does not count.
        gap = now - self._last
        if self._last and gap > 1.5 * INTERVAL * _SECOND:
            self._standstills.append((now, gap))
        self._last = now

    def _lived(self, since: int, now: int) -> int:
        """Return the time since then in which the master ran, in ns."""
        return now - since - sum(length for until, length in self._standstills if until > since)

    def _hang(self, row: Figures, limits: _Limits, now: int) -> ProcessHung | None:
        timeout = self._settings.hang_timeout * _SECOND
        if not timeout:
            return None
        # A loop that beats once an interval may be blocked only since the beat that did not come.
        silent = self._lived(max(row.heartbeat, limits.since), now) - int(INTERVAL * _SECOND)
        if silent > timeout:
            return ProcessHung(process=row.peer, seconds=silent / _SECOND)
        if row.busy_since and (busy := self._lived(row.busy_since, now)) > timeout:
            return ProcessHung(process=row.peer, seconds=busy / _SECOND, what="thread pool")
        return None

    def _excess(self, row: Figures, limits: _Limits, now: int) -> RecycleDue | None:
        if limits.requests and row.requests >= limits.requests:
            return RecycleDue(process=row.peer, reason=f"it served {row.requests} requests (--max-requests)")
        if limits.lifetime and now - limits.since >= limits.lifetime * _SECOND:
            return RecycleDue(process=row.peer, reason=f"it is {(now - limits.since) / _SECOND:.0f} s old (--max-lifetime)")
        if self._settings.max_rss and row.rss > self._settings.max_rss * _MIB:
            return RecycleDue(process=row.peer, reason=f"it has {row.rss // _MIB} MiB of memory (--max-rss)")
        return None
