"""Writes whole lines to a descriptor without ever waiting for whoever reads it: bounded, and with a count of what was dropped.

Knows nothing of what the lines say. Linux takes one write to a file opened for appending, or of up to PIPE_BUF bytes to a pipe, as a whole,
so lines of several processes do not mix as long as each write holds whole ones.
"""

from __future__ import annotations

import os
import select
import socket
import stat
import time
from collections import deque
from contextlib import suppress
from typing import Final

CHUNK: Final = 4096
"""A pipe that polls writable has room for one page; PIPE_BUF, up to which writes are not torn, is as much."""

FILE_CHUNK: Final = 64 * 1024
"""Bytes of one write to a file."""

BUFFER_LIMIT: Final = 256 * 1024
"""Bytes that wait for a reader who does not read; beyond it lines are dropped."""


class LineWriter:
    """Lines that find no room wait, `BUFFER_LIMIT` bytes at most; then new ones are dropped and counted in `dropped`.

    `push` only keeps a line; `write` writes what is kept, as far as there is room.
    """

    def __init__(self, fd: int) -> None:
        self.dropped = 0
        self.size = 0  # Invariant: bytes in _waiting
        self._fd = fd
        self._sink = _Sink(fd)
        self._waiting: deque[tuple[bytes, int]] = deque()  # a line, and how many lines are lost with it
        self._offset = 0  # how much of the first waiting line is out
        self._torn = False  # the last line that got out has no end

    def __bool__(self) -> bool:
        """Whether something waits."""
        return bool(self._waiting)

    def push(self, line: bytes, lines: int = 1) -> None:
        """Keep a line, its end included, or drop it; `lines` is how many are lost with it."""
        if self.size + len(line) > BUFFER_LIMIT:
            self.dropped += lines
        else:
            self._waiting.append((line, lines))
            self.size += len(line)

    def write(self) -> bool:
        """Write what waits; whether all of it is out. What cannot be written at all, now or later, is dropped."""
        if self._waiting and self._sink.closed:
            self._sink = _Sink(self._fd)  # a line after `close`, such as after logging.shutdown: no reason to block
        try:
            while self._waiting:
                if self._torn:
                    self._sink.write(b"\n")
                    self._torn = False
                self._written(self._sink.write(self._batch()))
        except BlockingIOError:
            return False
        except OSError:
            self._give_up()
            return False
        return True

    def drain(self, seconds: float) -> None:
        """Before the process ends: give a slow reader this long to take what waits."""
        deadline = time.monotonic() + seconds
        while not self.write() and self._waiting and (left := deadline - time.monotonic()) > 0:
            self._sink.wait(left)

    def redirect(self, fd: int | None = None) -> None:
        """Look at the descriptor again, as it was replaced by another file, or write to another one. What waits goes there."""
        self._sink.close()
        self._fd = self._fd if fd is None else fd
        self._sink = _Sink(self._fd)
        self._offset, self._torn = 0, False

    def close(self) -> None:
        """Let go of the descriptor, which stays open. What is pushed later all the same is written as before."""
        self._sink.close()

    def _batch(self) -> memoryview:
        """Return as many whole lines as one write takes; of a line longer than that, or begun already, what is left of it."""
        first, _ = self._waiting[0]
        left = len(first) - self._offset
        limit = self._sink.limit
        if self._offset or left > limit or len(self._waiting) == 1:
            return memoryview(first)[self._offset : self._offset + limit]
        lines: list[bytes] = []
        for line, _ in self._waiting:
            limit -= len(line)
            if limit < 0:
                break
            lines.append(line)
        return memoryview(b"".join(lines))

    def _written(self, size: int) -> None:
        size += self._offset
        waiting = self._waiting
        while waiting and size >= len(waiting[0][0]):
            line, _ = waiting.popleft()
            size -= len(line)
            self.size -= len(line)
        self._offset = size

    def _give_up(self) -> None:
        """Nobody reads any more (EPIPE), or the disk is full (ENOSPC): what waits would only grow old."""
        self.dropped += sum(lines for _, lines in self._waiting)
        self._torn = self._torn or self._offset > 0
        self._waiting.clear()
        self.size = self._offset = 0


class _Sink:
    """Writes to a descriptor as its kind allows without blocking; raises BlockingIOError when there is no room.

    O_NONBLOCK on stderr itself is out of the question: it belongs to the open file, which other processes and the user's own `print`
    share. So a socket is written with MSG_DONTWAIT, and a pipe through an open file of our own, which on Linux /proc gives. Elsewhere,
    and for terminals, `poll` is asked first, which leaves a race with other writers.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._own: int | None = None
        self._socket: socket.socket | None = None
        self._asks = True
        self.closed = False
        self.limit = CHUNK
        with suppress(OSError):  # closed: each write will say so
            self._open(fd)
        self._poll = select.poll()
        self._poll.register(fd if self._own is None else self._own, select.POLLOUT)

    def _open(self, fd: int) -> None:
        mode = os.fstat(fd).st_mode
        if stat.S_ISREG(mode):
            self.limit = FILE_CHUNK
            self._asks = False
        elif stat.S_ISSOCK(mode):
            self._socket = socket.socket(fileno=os.dup(fd))
        elif stat.S_ISFIFO(mode):
            self._own = os.open(f"/proc/self/fd/{fd}", os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)

    def write(self, piece: bytes | memoryview) -> int:
        if self._socket is not None:
            return self._socket.send(piece, socket.MSG_DONTWAIT)
        if self._own is not None:
            return os.write(self._own, piece)
        if self._asks and not self._poll.poll(0):
            raise BlockingIOError
        return os.write(self._fd, piece)

    def wait(self, seconds: float) -> None:
        self._poll.poll(seconds * 1000)

    def close(self) -> None:
        self.closed = True
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        if self._own is not None:
            os.close(self._own)
            self._own = None
