"""What a start spends its time on: named items, kept from the nest's import on through each process's own start.

Egg's `Timing`: the same shape in the dump (1.8) and the same names where the step is the same (1.9).
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Final

from tamago.errors import TamagoError
from tamago.types import TimedStep

_WIDTH: Final = 50  # characters of the drawn timeline
_BAR: Final = "▇"
_PROCESS_START: Final = "Process Start"


class NotStartedError(TamagoError):
    """A timing item ends that never began."""

    def __init__(self, name: str) -> None:
        super().__init__(f"the timing item {name!r} was never started", hint=f"call timing.start({name!r}) first")


@dataclass(slots=True, kw_only=True)
class Item:
    """One step: `start` and `end` in milliseconds since the epoch, `end` None while it runs; `pid` is the process it began in."""

    name: str
    start: float
    end: float | None
    pid: int
    index: int
    outer: Item | None = field(default=None, repr=False)
    """The block it began in."""
    inner: float = 0.0
    """Milliseconds of the items that began in it and have ended."""

    @property
    def duration(self) -> float | None:
        """Milliseconds, None while it runs."""
        return None if self.end is None else self.end - self.start

    def close(self, now: float) -> None:
        """End it; a block ends again after it was ended by another one of its name."""
        before, self.end = self.start if self.end is None else self.end, now
        if self.outer is not None:
            self.outer.inner += now - before


# A hook's task has a context of its own, so what runs beside it does not count as inside it.
_block: ContextVar[Item | None] = ContextVar("tamago_timing_block", default=None)


class Timing:
    """Collects items until it is disabled. One object goes through the fork: each process adds its own items to those of the nest."""

    def __init__(self) -> None:
        self._items: list[Item] = []
        self._open: dict[str, Item] = {}
        self._required = 0
        self._enabled = True
        # One wall-clock reading, then the monotonic clock, so that a clock set meanwhile bends no item. It runs on through a fork.
        self._origin = time.time() * 1000 - time.perf_counter() * 1000
        if (created := process_created()) is not None:
            self._add(_PROCESS_START, start=created, end=self._now())

    def start(self, name: str) -> Item:
        """Begin an item. One of the same name that still runs ends now."""
        now = self._now()
        if (earlier := self._open.pop(name, None)) is not None:
            earlier.close(now)
        item = self._add(name, start=now, end=None)
        if self._enabled:
            self._open[name] = item
        return item

    def end(self, name: str) -> Item | None:
        """End an item and return it, None once timing is disabled. Raises NotStartedError."""
        item = self._open.pop(name, None)
        if item is not None:
            item.close(self._now())
        elif self._enabled:
            raise NotStartedError(name)
        return item

    @contextmanager
    def measure(self, name: str) -> Iterator[Item]:
        """Time a block. One that raises leaves its item unfinished: there the start ended."""
        item = self.start(name)
        token = _block.set(item)
        try:
            yield item
        finally:
            _block.reset(token)
        item.close(self._now())
        if self._open.get(name) is item:
            del self._open[name]

    def requiring(self, module: str) -> AbstractContextManager[Item]:
        """Time the import of a module, numbered as Egg does: `Require(3) app.service.user`."""
        number, self._required = self._required, self._required + 1
        return self.measure(f"Require({number}) {module}")

    def disable(self) -> None:
        """Keep nothing more: the start is over. What is still open may end."""
        self._enabled = False

    def enable(self) -> None:
        """Keep items again."""
        self._enabled = True

    def clear(self) -> None:
        """Forget every item."""
        self._items.clear()
        self._open.clear()

    def unfinished(self) -> list[Item]:
        """Return the items that began and did not end."""
        return [item for item in self._items if item.end is None]

    def slower_than(self, milliseconds: float) -> list[Item]:
        """Return the steps that took so long; the start of the process itself is none of ours."""
        return [item for item in self._items if item.name != _PROCESS_START and (item.duration or 0) >= milliseconds]

    def steps(self) -> list[TimedStep]:
        """Return the items of this process as the trace has them: none of the nest it was forked from, nor the start of the process."""
        now, pid = self._now(), os.getpid()
        return [self._step(item, now) for item in self._items if item.pid == pid and item.name != _PROCESS_START]

    def to_list(self) -> list[dict[str, str | int | float | None]]:
        """Return the items as Egg dumps them, in the order they began."""
        return [
            {"name": item.name, "start": item.start, "end": item.end, "duration": item.duration, "pid": item.pid, "index": item.index}
            for item in self._items
        ]

    def render(self) -> str:
        """Draw the items, a line each, on one scale from the first start to now; what still runs ends in `...`."""
        if not self._items:
            return "start timeline: nothing was timed"
        first = min(item.start for item in self._items)
        last = max(item.start if item.end is None else item.end for item in self._items)
        last = self._now() if self.unfinished() else last
        return "\n".join(("start timeline:", *(_line(item, first, last) for item in self._items)))

    def _step(self, item: Item, now: float) -> TimedStep:
        took = item.duration
        own = max(0.0, (now - item.start if took is None else took) - item.inner)
        return TimedStep(item.name, (item.start - self._origin) / 1000, None if took is None else took / 1000, own / 1000)

    def _add(self, name: str, *, start: float, end: float | None) -> Item:
        item = Item(name=name, start=start, end=end, pid=os.getpid(), index=len(self._items), outer=_block.get())
        if self._enabled:
            self._items.append(item)
        return item

    def _now(self) -> float:
        return self._origin + time.perf_counter() * 1000


def _line(item: Item, first: float, last: float) -> str:
    scale = _WIDTH / max(last - first, 1e-6)
    end = last if item.end is None else item.end
    offset = min(int((item.start - first) * scale), _WIDTH - 1)
    bar = _BAR * max(1, min(round((end - item.start) * scale), _WIDTH - offset))
    took = f"[{end - item.start:.0f}ms{'...' if item.end is None else ''}]"
    return f"{' ' * offset}{bar} {took} - #{item.index} {item.name}"


def process_created() -> float | None:
    """Return when this process began, in milliseconds since the epoch, to about 10 ms; None where the kernel does not say it in /proc."""
    try:
        with open("/proc/self/stat", "rb") as file:
            # The second field is the name in brackets and may hold anything; the start time is the 22nd.
            ticks = int(file.read().rpartition(b")")[2].split()[19])
        alive = time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
    except (OSError, AttributeError, IndexError, ValueError):
        return None
    return (time.time() - alive) * 1000
