"""Messages that wait for a receiver who is not up yet, or is being replaced: in order, and bounded. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Final, NamedTuple

from tamago.ipc.wire import HEADER, HEADER_SIZE

MAX_FRAMES: Final = 10_000
MAX_BYTES: Final = 64 * 1024 * 1024


class Waiting(NamedTuple):
    """A run of whole frames: many messages, or one request."""

    data: bytes
    frames: int


class WaitingLine:
    """One receiver's messages, oldest first; at most 10,000 of them and 64 MiB."""

    def __init__(self) -> None:
        self._runs: deque[Waiting] = deque()
        self.frames = 0
        self.bytes = 0

    def add(self, run: bytes | memoryview, count: int) -> int:
        """Take as many frames from the front of the run as fit; return how many bytes that was."""
        if self.frames + count > MAX_FRAMES or self.bytes + len(run) > MAX_BYTES:
            run, count = self._what_fits(run, count)
        if count:
            self._append(Waiting(bytes(run), count))
        return len(run)

    def put_back(self, runs: Iterable[Waiting]) -> None:
        """Put what could not be delivered after all before everything else. There is always room: it was let in once."""
        for run in reversed(list(runs)):
            self._runs.appendleft(run)
            self.frames += run.frames
            self.bytes += len(run.data)

    def take_all(self) -> list[Waiting]:
        """Empty the line."""
        runs = list(self._runs)
        self._runs.clear()
        self.frames = self.bytes = 0
        return runs

    def _append(self, run: Waiting) -> None:
        self._runs.append(run)
        self.frames += run.frames
        self.bytes += len(run.data)

    def _what_fits(self, run: bytes | memoryview, count: int) -> tuple[bytes | memoryview, int]:
        room, size, fits = MAX_BYTES - self.bytes, 0, 0
        most = min(count, MAX_FRAMES - self.frames)
        while fits < most:
            grown = size + HEADER_SIZE + HEADER.unpack_from(run, size)[0]
            if grown > room:
                break
            size, fits = grown, fits + 1
        return run[:size], fits
