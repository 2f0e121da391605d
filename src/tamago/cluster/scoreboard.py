"""Shared memory with one row a process, so that anybody can read how a process does, even one that hangs.

A row is a few 64-bit integers that one process writes and others read; each write is one aligned store, so no lock is needed and no reader
sees half a number. Nothing here decides anything: see balance.py for who accepts, and the supervisor for what a stale heartbeat means.
"""

from __future__ import annotations

import mmap
import os
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Final

from tamago.errors import TamagoError

FIELDS: Final = 16
"""Two cache lines a row, so that two workers do not write into the same one."""

_ROW_BYTES: Final = FIELDS * 8

_PEER, _SLOT, _GENERATION, _ACCEPTING, _HEARTBEAT, _BUSY_SINCE, _REQUESTS, _FINISHED, _CONNECTIONS, _RSS, _CPU, _PID, _ACCEPTED = range(13)

STALE: Final = 2_500_000_000
"""Nanoseconds since the heartbeat, of one a second, after which a process does not count as one that could accept."""


class ScoreboardFullError(TamagoError):
    """More processes than rows."""

    def __init__(self, rows: int) -> None:
        super().__init__(f"all {rows} rows of the scoreboard are taken", hint="wait for old processes to end, or start with more workers")
        self.rows = rows


class Row:
    """What one process says of itself. It also is the `Meter` its HTTP edge counts on."""

    __slots__ = ("_cells", "request_counts")

    def __init__(self, cells: memoryview) -> None:
        self._cells = cells
        self.request_counts = cells[_REQUESTS : _FINISHED + 1]

    @property
    def peer(self) -> int:
        """The process incarnation that has this row; 0: none."""
        return self._cells[_PEER]

    @property
    def pid(self) -> int:
        """Its process id, once it has said so; 0 before."""
        return self._cells[_PID]

    @pid.setter
    def pid(self, pid: int) -> None:
        self._cells[_PID] = pid

    @property
    def slot(self) -> int:
        """Its slot; 0 for the agent."""
        return self._cells[_SLOT]

    @property
    def generation(self) -> int:
        """Its generation."""
        return self._cells[_GENERATION]

    @property
    def accepting(self) -> bool:
        """True while it takes new connections."""
        return bool(self._cells[_ACCEPTING])

    @accepting.setter
    def accepting(self, accepting: bool) -> None:
        self._cells[_ACCEPTING] = accepting

    @property
    def heartbeat(self) -> int:
        """Its event loop ran then (CLOCK_MONOTONIC, ns); 0: not yet."""
        return self._cells[_HEARTBEAT]

    @property
    def busy_since(self) -> int:
        """All threads of its pool are busy since then (CLOCK_MONOTONIC, ns); 0: not all are."""
        return self._cells[_BUSY_SINCE]

    @property
    def requests(self) -> int:
        """Requests begun so far."""
        return self._cells[_REQUESTS]

    @property
    def in_flight(self) -> int:
        """Requests begun and not finished."""
        return self._cells[_REQUESTS] - self._cells[_FINISHED]

    @property
    def connections(self) -> int:
        """Open connections."""
        return self._cells[_CONNECTIONS]

    @property
    def ended(self) -> int:
        """Connections that are no more."""
        return self._cells[_ACCEPTED] - self._cells[_CONNECTIONS]

    @property
    def signs_of_life(self) -> tuple[int, ...]:
        """What cannot all stay the same while its event loop runs and connections come."""
        cells = self._cells
        return cells[_PEER], cells[_HEARTBEAT], cells[_REQUESTS], cells[_ACCEPTED]

    @property
    def rss(self) -> int:
        """Resident memory in bytes, a few seconds old."""
        return self._cells[_RSS]

    @property
    def cpu(self) -> int:
        """CPU time in ns, a few seconds old."""
        return self._cells[_CPU]

    def beat(self, now: int) -> None:
        """Say that the event loop runs, at `now` (CLOCK_MONOTONIC, ns)."""
        self._cells[_HEARTBEAT] = now

    def measure(self, *, rss: int, cpu: int) -> None:
        """Say how much memory (bytes) and CPU time (ns) it has used."""
        self._cells[_RSS] = rss
        self._cells[_CPU] = cpu

    def connection_opened(self) -> None:
        """Count a connection."""
        cells = self._cells
        cells[_CONNECTIONS] += 1
        cells[_ACCEPTED] += 1

    def connection_closed(self) -> None:
        """Count its end."""
        self._cells[_CONNECTIONS] -= 1

    def threads_all_busy(self, busy: bool) -> None:
        """Note since when every thread is busy, or that one is not."""
        if not busy:
            self._cells[_BUSY_SINCE] = 0
        elif not self._cells[_BUSY_SINCE]:
            self._cells[_BUSY_SINCE] = time.monotonic_ns()


class Scoreboard:
    """The rows. The master makes it, claims a row for each process before it starts, and frees it after it was reaped."""

    def __init__(self, fd: int, rows: int) -> None:
        self.fd = fd
        self.rows = rows
        self._memory = mmap.mmap(fd, (rows + 1) * _ROW_BYTES)
        self._cells = memoryview(self._memory).cast("q")
        # The first cell behind the rows says how many were ever claimed, so that nobody looks through hundreds that never were.
        self._claimed = rows * FIELDS

    @classmethod
    def create(cls, rows: int, *, name: str = "tamago") -> Scoreboard:
        """Make shared memory of that many rows. It is found through its descriptor, which `fd` is; /proc shows it under `name`."""
        fd = _anonymous_file((rows + 1) * _ROW_BYTES, name)
        try:
            return cls(fd, rows)
        except BaseException:
            os.close(fd)
            raise

    @classmethod
    def open(cls, fd: int, rows: int) -> Scoreboard:
        """Map the one behind a descriptor that was handed over; the descriptor belongs to the result."""
        return cls(fd, rows)

    def close(self) -> None:
        """Close the descriptor, and unmap the memory unless rows of it are still held."""
        self._cells.release()
        with suppress(BufferError):
            self._memory.close()
        os.close(self.fd)

    def row(self, index: int) -> Row:
        """Return a view of one row."""
        if not 0 <= index < self.rows:
            raise IndexError(f"no row {index} among {self.rows}")
        return Row(self._slice(index))

    def taken(self) -> Iterator[tuple[int, Row]]:
        """Go through the rows that have a process."""
        for index in range(min(self._cells[self._claimed], self.rows)):
            if self._cells[index * FIELDS + _PEER]:
                yield index, self.row(index)

    def claim(self, *, peer: int, slot: int = 0, generation: int = 0) -> int:
        """Give a free row, all zero, to a process (`peer` > 0); return its index."""
        for index in range(self.rows):
            cells = self._slice(index)
            if not cells[_PEER]:
                cells[:] = memoryview(bytes(_ROW_BYTES)).cast("q")
                cells[_SLOT] = slot
                cells[_GENERATION] = generation
                cells[_PEER] = peer
                self._cells[self._claimed] = max(self._cells[self._claimed], index + 1)
                return index
        raise ScoreboardFullError(self.rows)

    def free(self, index: int) -> None:
        """Take a row back from a process that is gone."""
        self._slice(index)[:] = memoryview(bytes(_ROW_BYTES)).cast("q")

    def connections_elsewhere(self, index: int, now: int) -> list[tuple[int, int]]:
        """List (open connections, row) of each other process that accepts and whose heartbeat is fresh at `now`.

        Those whose threads are all busy are left out, unless ours are too: they leave what comes to us.
        """
        cells = self._cells
        busy = cells[index * FIELDS + _BUSY_SINCE]
        return [
            (cells[base + _CONNECTIONS], base // FIELDS)
            for base in range(0, min(cells[self._claimed], self.rows) * FIELDS, FIELDS)
            if cells[base + _ACCEPTING]
            and now - cells[base + _HEARTBEAT] < STALE
            and base != index * FIELDS
            and (not cells[base + _BUSY_SINCE] or busy)
        ]

    def somebody_is_free(self, index: int, now: int) -> bool:
        """Return whether another process accepts, has a fresh heartbeat at `now`, and a thread to spare."""
        cells = self._cells
        return any(
            cells[base + _ACCEPTING] and not cells[base + _BUSY_SINCE] and now - cells[base + _HEARTBEAT] < STALE and base != index * FIELDS
            for base in range(0, min(cells[self._claimed], self.rows) * FIELDS, FIELDS)
        )

    def _slice(self, index: int) -> memoryview:
        return self._cells[index * FIELDS : (index + 1) * FIELDS]


def _anonymous_file(size: int, name: str) -> int:
    """Return a descriptor of `size` bytes of shared memory without a name. On Linux nobody can shrink it, which would be SIGBUS for all."""
    if sys.platform == "linux":
        import fcntl  # noqa: PLC0415

        fd = os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        os.ftruncate(fd, size)
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)
        return fd
    import tempfile  # noqa: PLC0415

    fd, path = tempfile.mkstemp(prefix=f"{name}-")
    os.unlink(path)
    os.ftruncate(fd, size)
    return fd
