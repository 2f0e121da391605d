"""Log files that a slow disk keeps nobody waiting for: lines are queued, and one thread of the process writes them.

The queue is bounded. What finds no room, or no disk, is dropped; that is said on the console when it begins, and how many they were in the
file itself when it is over.
"""

from __future__ import annotations

import logging
import os
import threading
import time
import weakref
from collections.abc import Callable
from typing import Final

from tamago.line_writer import FILE_CHUNK, LineWriter
from tamago.log import STREAMS, LogFile, LogFileError

INTERVAL: Final = 0.25
"""Seconds a line waits at most for others to be written with it."""

QUEUE_LIMIT: Final = 4 * 1024 * 1024
"""Bytes that wait for a disk; beyond it lines are dropped."""

_log = logging.getLogger("tamago.app.logging")


class QueuedFile(LogFile):
    """A log file, made with its directory if need be. `announcement(text)` makes the line that says how many were dropped.

    Raises LogFileError. Nothing here is held while the disk is waited for, but for `_turn`, which only who writes waits for.
    """

    def __init__(self, path: str, thread: WriterThread, announcement: Callable[[str], bytes]) -> None:
        self.path = path
        self._thread = thread
        self._announcement = announcement
        self._queue: list[bytes] = []
        self._size = 0  # Invariant: bytes in _queue
        self._dropped = 0  # as there was no room in _queue
        self._fresh: int | None = None  # the file opened again, to take the place of the old one
        self._losing = False  # and that was said
        self._lock = threading.Lock()  # for the queue; held for a moment only
        self._turn = threading.Lock()  # who writes to the file or replaces it
        super().__init__(path, flags="another logger.dir in the configuration")
        thread.files.append(self)

    def begin_anew(self) -> None:
        """In a forked child: what is queued is the parent's, and of the locks nobody may be left who would let go."""
        self._lock = threading.Lock()
        self._turn = threading.Lock()
        self._queue, self._size, self._dropped = [], 0, 0
        self.writer = LineWriter(self._fd)

    def _open(self) -> int:
        if self._path not in STREAMS:
            try:
                os.makedirs(os.path.dirname(self._path), mode=0o750, exist_ok=True)
            except OSError as error:
                raise LogFileError(self._path, error.strerror or str(error), flags=self._flags) from None
        return super()._open()

    @property
    def waiting(self) -> bool:
        """Whether something is not written yet, or is being written, or a file replaced."""
        return bool(self._queue or self.writer or self._fresh is not None or self._turn.locked())

    def push(self, line: bytes, *, urgent: bool = False) -> None:
        """Queue a line, its end included. Unless the thread buffers, and for an urgent one, that is written as soon as can be."""
        with self._lock:
            if self._size + len(line) > QUEUE_LIMIT:
                self._dropped += 1
            else:
                self._queue.append(line)
                self._size += len(line)
        self._thread.notify(self, urgent=urgent)

    def write(self) -> None:
        """Write what is queued. Waits for the disk."""
        with self._turn:
            self._adopt()
            with self._lock:
                lines, self._queue, self._size = self._queue, [], 0
                lost, self._dropped = self._dropped, 0
            self.writer.dropped += lost
            self._write(lines)
            loses = self.writer.dropped > 0
            began, self._losing = loses and not self._losing, loses
        if began:  # said without holding the turn, as this line may come to the same file
            _log.warning("log lines for %s are being dropped: the disk is full or too slow", self.path)

    def _write(self, lines: list[bytes]) -> None:
        writer = self.writer
        for line in lines:
            writer.push(line)
            if writer.size >= FILE_CHUNK:
                writer.write()
        if writer.write() and writer.dropped:
            lost, writer.dropped = writer.dropped, 0
            writer.push(self._announcement(f"{lost} log lines were dropped: the disk was full or too slow"), lost)
            writer.write()

    def reopen(self) -> None:
        """Open the file by its name again, and its directory. Raises LogFileError; the old one is then kept."""
        fresh = self._open()
        with self._lock:
            superseded, self._fresh = self._fresh, fresh
        if superseded is not None:
            _close(superseded)
        if self._turn.acquire(blocking=False):
            try:
                self._adopt()
            finally:
                self._turn.release()
        else:
            self._thread.notify(self, urgent=True)

    def _adopt(self) -> None:
        with self._lock:
            fresh, self._fresh = self._fresh, None
        if fresh is not None:
            old, self._fd = self._fd, fresh
            self.writer.redirect(fresh)
            _close(old)

    def drain(self, seconds: float) -> None:
        """Give the disk this long to take what is queued, in all files of the thread. None at all: the thread does it anyway."""
        if seconds and self._thread.files[0] is self:  # asked for each of them, and not to wait each time
            self._thread.drain(seconds)

    def close(self) -> None:
        """Write what is queued, and close."""
        self.write()
        self._thread.files.remove(self)
        with self._turn:
            super().close()


class WriterThread:
    """Writes the queues of its `files`. The thread begins with the first line, so none is there to be lost in a fork.

    With `buffer` False there is no thread: who logs writes, and waits for the disk.
    """

    def __init__(self, *, buffer: bool = True) -> None:
        self.files: list[QueuedFile] = []
        self._buffer = buffer
        self._closing = False
        self._begin()
        _threads.add(self)

    def begin_anew(self) -> None:
        """In a forked child: the thread is gone."""
        self._begin()
        for file in self.files:
            file.begin_anew()

    def _begin(self) -> None:
        self._thread: threading.Thread | None = None
        self._work = threading.Event()
        self._hurry = threading.Event()
        self._quiet = threading.Condition()

    def notify(self, file: QueuedFile, *, urgent: bool) -> None:
        """Have the file's queue written: soon, or now."""
        if not self._buffer or not self._running():
            file.write()
            return
        if not self._work.is_set():
            self._work.set()
        if urgent:
            self._hurry.set()

    def drain(self, seconds: float) -> None:
        """Wait until all is written, `seconds` at most."""
        if self._thread is None or self._thread is threading.current_thread():
            return
        deadline = time.monotonic() + seconds
        with self._quiet:
            while any(file.waiting for file in self.files) and (left := deadline - time.monotonic()) > 0:
                self._hurry.set()
                self._work.set()
                self._quiet.wait(left)

    def close(self, seconds: float) -> None:
        """Write what is queued within `seconds`, end the thread and close the files. A disk that hangs keeps its thread and its file."""
        self.drain(seconds)
        thread, self._closing = self._thread, True
        if thread is not None:
            self._hurry.set()
            self._work.set()
            thread.join(seconds)
        _threads.discard(self)
        if thread is None or not thread.is_alive():
            for file in tuple(self.files):
                file.close()

    def _running(self) -> bool:
        if self._closing:
            return False
        if self._thread is None:
            thread = threading.Thread(target=self._run, name="tamago-log", daemon=True)
            try:
                thread.start()
            except RuntimeError:  # the interpreter is ending, or the system has no thread left
                return False
            self._thread = thread
        return True

    def _run(self) -> None:
        while not self._closing:
            self._work.wait()
            self._hurry.wait(INTERVAL)
            self._work.clear()
            self._hurry.clear()
            for file in tuple(self.files):
                file.write()
            with self._quiet:
                self._quiet.notify_all()
            if any(file.writer for file in self.files):  # a pipe whose reader takes his time
                self._work.set()


def _close(fd: int) -> None:
    if fd not in STREAMS.values():
        os.close(fd)


def _begin_anew() -> None:
    for thread in tuple(_threads):
        thread.begin_anew()


_threads: weakref.WeakSet[WriterThread] = weakref.WeakSet()
os.register_at_fork(after_in_child=_begin_anew)
