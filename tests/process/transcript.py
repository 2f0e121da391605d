"""What a command and all its processes write. To wait for something is to block until its line is there or the pipe ends."""

from __future__ import annotations

import re
import threading
from typing import IO


class Transcript:
    """The lines of one pipe, read by a thread so that nobody who writes is ever held up.

    Every process that inherits the pipe keeps it open: its end proves that none of them is left.
    """

    def __init__(self, pipe: IO[bytes]) -> None:
        self._pipe = pipe
        self._changed = threading.Condition()
        self._lines: list[str] = []
        self._mark = 0
        self.ended = False
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        with self._pipe:
            for line in self._pipe:
                with self._changed:
                    self._lines.append(line.decode(errors="replace").rstrip("\n"))
                    self._changed.notify_all()
        with self._changed:
            self.ended = True
            self._changed.notify_all()

    @property
    def text(self) -> str:
        with self._changed:
            return "\n".join(self._lines) + "\n"

    def mark(self) -> None:
        """Look only at lines that come from now on."""
        with self._changed:
            self._mark = len(self._lines)

    def expect(self, pattern: str, *, count: int = 1) -> list[re.Match[str]]:
        """Block until `count` lines since the mark match; fail when the pipe ends before."""
        with self._changed:
            while len(found := self._since_mark(pattern)) < count:
                if self.ended:
                    raise AssertionError(f"the pipe ended and {pattern!r} came {len(found)} times, not {count}:\n" + "\n".join(self._lines))
                self._changed.wait()
            return found[:count]

    def expect_within(self, pattern: str, seconds: float) -> re.Match[str] | None:
        """As `expect`, for one line, but give up after so many seconds: for what must not come, or must come soon."""
        with self._changed:
            self._changed.wait_for(lambda: self.ended or bool(self._since_mark(pattern)), seconds)
            found = self._since_mark(pattern)
            return found[0] if found else None

    def found(self, pattern: str, *, everywhere: bool = False) -> list[re.Match[str]]:
        """The lines since the mark, or all, that match, without waiting."""
        with self._changed:
            if everywhere:
                return [match for line in self._lines if (match := re.search(pattern, line))]
            return self._since_mark(pattern)

    def wait_end(self, seconds: float | None = None) -> bool:
        """Block until every process that holds the pipe is gone; return whether they are."""
        with self._changed:
            self._changed.wait_for(lambda: self.ended, seconds)
            return self.ended

    def _since_mark(self, pattern: str) -> list[re.Match[str]]:
        return [match for line in self._lines[self._mark :] if (match := re.search(pattern, line))]
