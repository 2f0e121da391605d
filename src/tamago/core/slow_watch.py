"""Says while something runs that it takes long.

From a thread: a hook that blocks the event loop, which is the usual reason for a start that hangs, would block an alarm there as well. The
thread lives only while something is watched.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class SlowWatch:
    """Calls `report(name)` once, in its own thread, for whatever is still running `after` seconds after it began."""

    def __init__(self, after: float, report: Callable[[str], None]) -> None:
        self._after = after
        self._report = report
        self._changed = threading.Condition()
        self._due: dict[object, tuple[str, float]] = {}  # Invariant: in order of the deadlines, all being `after` from their start
        self._thread: threading.Thread | None = None

    def begin(self, name: str) -> object:
        """Watch over something until `finish` is called with what this returns."""
        token = object()
        with self._changed:
            self._due[token] = (name, time.monotonic() + self._after)
            if self._thread is None:
                self._thread = threading.Thread(target=self._watch, name="tamago-slow-watch", daemon=True)
                self._thread.start()
        return token

    def finish(self, token: object) -> None:
        """It is done, or failed. The thread is not woken for this: the next hook most likely begins at once."""
        with self._changed:
            self._due.pop(token, None)

    def rest(self) -> None:
        """Let the thread end if nothing is watched."""
        with self._changed:
            self._changed.notify()

    def _watch(self) -> None:
        while (name := self._next()) is not None:
            self._report(name)

    def _next(self) -> str | None:
        with self._changed:
            while self._due:
                token, (name, due) = next(iter(self._due.items()))
                left = due - time.monotonic()
                if left > 0:
                    self._changed.wait(left)
                else:
                    del self._due[token]
                    return name
            self._thread = None
            return None
