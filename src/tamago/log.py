"""Log lines on stderr: their form, how a process is named in them, and a handler that neither blocks nor dies.

Whoever reads our stderr may stop reading, go away, or run out of disk. Serving goes on in each case: lines wait in a bounded buffer,
then are dropped and counted, and the count is logged once there is room again. Knows nothing of clusters: it is told its own name.
"""

from __future__ import annotations

import errno
import logging
import os
import select
import socket
import stat
import sys
import time
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from typing import Final, Protocol

from tamago.errors import TamagoError
from tamago.types import Role

CHUNK: Final = 4096
"""A pipe that polls writable has room for one page; PIPE_BUF, up to which writes are not torn, is as much."""

BUFFER_LIMIT: Final = 256 * 1024
"""Bytes that wait for a reader who does not read; beyond it lines are dropped."""


class Process(Protocol):
    """What has a name in the log: an `Identity`, a `Peer`."""

    @property
    def role(self) -> Role: ...
    @property
    def slot(self) -> int: ...
    @property
    def generation(self) -> int: ...
    @property
    def pid(self) -> int: ...


def to_log(process: Process) -> str:
    """Name a process the one way it is named in every line: `worker 2 gen=1 pid=4711`, so that logs can be searched by it."""
    match process.role:
        case Role.WORKER:
            return f"worker {process.slot} gen={process.generation} pid={process.pid}"
        case Role.MASTER:
            return f"master pid={process.pid}"
        case Role.NEST | Role.AGENT:
            return f"{process.role.value} gen={process.generation} pid={process.pid}"


class LogFileError(TamagoError):
    """A log file could not be opened."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(
            f"cannot write the log file {path}: {reason}", hint="check the path and its directory, or pass other --stdout and --stderr"
        )
        self.path = path
        self.reason = reason


class LineFormatter(logging.Formatter):
    """`2026-03-01T09:30:00.123+02:00 INFO    [worker 2 gen=1 pid=4711] message`; other loggers than ours are named before the message."""

    def __init__(self, name: str, *, colours: bool = False) -> None:
        super().__init__()
        self._process = name
        self._colours = colours
        self._second = -1
        self._stamp = ("", "")

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, and the traceback below it if there is one."""
        text = record.getMessage()
        if not record.name.startswith(("tamago", "root")):
            text = f"{record.name}: {text}"
        if record.exc_info and not record.exc_text:
            record.exc_text = self.formatException(record.exc_info)
        parts = [text, record.exc_text, self.formatStack(record.stack_info) if record.stack_info else None]
        return f"{self._time(record)} {self._level(record)} [{self._process}] " + "\n".join(part for part in parts if part)

    def _time(self, record: logging.LogRecord) -> str:
        second = int(record.created)
        if second != self._second:
            local = time.localtime(second)
            sign, offset = ("-" if local.tm_gmtoff < 0 else "+"), abs(local.tm_gmtoff) // 60
            self._stamp = (time.strftime("%Y-%m-%dT%H:%M:%S", local), f"{sign}{offset // 60:02d}:{offset % 60:02d}")
            self._second = second
        return f"{self._stamp[0]}.{int(record.msecs):03d}{self._stamp[1]}"

    def _level(self, record: logging.LogRecord) -> str:
        if not self._colours or record.levelno < logging.WARNING:
            return f"{record.levelname:<7}"
        colour = 31 if record.levelno >= logging.ERROR else 33
        return f"\x1b[{colour}m{record.levelname:<7}\x1b[0m"


class SteadyHandler(logging.Handler):
    """Writes lines to a descriptor without ever waiting for whoever reads it.

    Lines that find no room wait, `BUFFER_LIMIT` bytes at most; then new ones are dropped and counted in `dropped`. Every later line
    tries again, and so does `flush`, which somebody should call now and then.
    """

    def __init__(self, fd: int = 2) -> None:
        super().__init__()
        self.dropped = 0
        self._fd = fd
        self._sink = _Sink(fd)
        self._waiting: deque[tuple[bytes, int]] = deque()  # a line, and how many lines are lost with it
        self._size = 0  # Invariant: bytes in _waiting
        self._offset = 0  # how much of the first waiting line is out
        self._torn = False  # the last line that got out has no end
        self._pid = os.getpid()

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record, or keep it, or drop it."""
        try:
            line = self.format(record)
        except Exception as error:  # noqa: BLE001  a bad log call must not break what it reports on
            line = f"{record.levelname} [{record.name}] {record.pathname}:{record.lineno}: bad log call: {record.msg!r}: {error!r}"
        self._push(line)
        self._write_waiting()

    def flush(self) -> None:
        """Write what waits, as far as there is room."""
        self.acquire()
        try:
            self._write_waiting()
        finally:
            self.release()

    def drain(self, seconds: float) -> None:
        """Before the process ends: give a slow reader this long to take what waits."""
        deadline = time.monotonic() + seconds
        self.flush()
        while self._waiting and (left := deadline - time.monotonic()) > 0:
            self._sink.wait(left)
            self.flush()

    def redirect(self, fd: int | None = None) -> None:
        """Look at the descriptor again, as it was replaced by another file, or write to another one. What waits goes there."""
        self.acquire()
        try:
            self._sink.close()
            self._fd = self._fd if fd is None else fd
            self._sink = _Sink(self._fd)
            self._offset, self._torn = 0, False
        finally:
            self.release()

    def close(self) -> None:
        """Write what can be written and let go of the descriptor, which stays open. In a forked child write nothing: it is the parent's.

        A line that comes later all the same (`atexit`, a thread) is written as any other.
        """
        if os.getpid() == self._pid:
            self.flush()
        self._sink.close()
        super().close()

    def _push(self, line: str, lines: int = 1) -> None:
        data = line.encode("utf-8", "backslashreplace") + b"\n"
        if self._size + len(data) > BUFFER_LIMIT:
            self.dropped += lines
        else:
            self._waiting.append((data, lines))
            self._size += len(data)

    def _write_waiting(self) -> None:
        if self._waiting and self._sink.closed:
            self._sink = _Sink(self._fd)  # a line after logging.shutdown: no reason to block
        try:
            while self._waiting:
                if self._torn:
                    self._sink.write(b"\n")
                    self._torn = False
                line, _ = self._waiting[0]
                self._offset += self._sink.write(memoryview(line)[self._offset :])
                if self._offset == len(line):
                    self._waiting.popleft()
                    self._size -= len(line)
                    self._offset = 0
                if self.dropped and not self._waiting:
                    self._report_dropped()
        except BlockingIOError:
            return
        except OSError:
            self._give_up()

    def _give_up(self) -> None:
        """Nobody reads any more (EPIPE), or the disk is full (ENOSPC): what waits would only grow old."""
        self.dropped += sum(lines for _, lines in self._waiting)
        self._torn = self._torn or self._offset > 0
        self._waiting.clear()
        self._size = self._offset = 0

    def _report_dropped(self) -> None:
        lines, self.dropped = self.dropped, 0
        text = f"{lines} log lines were dropped: nobody took them, or the disk was full"
        self._push(self.format(logging.LogRecord("tamago.log", logging.WARNING, __file__, 0, text, None, None)), lines)


class _Sink:
    """Writes to a descriptor as its kind allows without blocking; raises BlockingIOError when there is no room.

    O_NONBLOCK on stderr itself is out of the question: it belongs to the open file, which other processes and the user's own `print`
    share. So a socket is written with MSG_DONTWAIT, and a pipe through an open file of our own, which on Linux /proc gives. Elsewhere,
    and for terminals, `poll` is asked first, which leaves a race with other writers.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self.closed = False
        self._own: int | None = None
        self._socket: socket.socket | None = None
        self._limit = CHUNK
        with suppress(OSError):  # closed: each write will say so
            self._open(fd)
        self._poll = select.poll()
        self._poll.register(fd if self._own is None else self._own, select.POLLOUT)

    def _open(self, fd: int) -> None:
        mode = os.fstat(fd).st_mode
        if stat.S_ISREG(mode):
            self._limit = sys.maxsize
        elif stat.S_ISSOCK(mode):
            self._socket = socket.socket(fileno=os.dup(fd))
        elif stat.S_ISFIFO(mode):
            self._own = os.open(f"/proc/self/fd/{fd}", os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)

    def write(self, data: bytes | memoryview) -> int:
        piece = data[: self._limit]
        if self._socket is not None:
            return self._socket.send(piece, socket.MSG_DONTWAIT)
        if self._own is not None:
            return os.write(self._own, piece)
        if self._limit == CHUNK and not self._poll.poll(0):
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


def configure(process: Process, *, level: str = "INFO", fd: int = 2) -> SteadyHandler:
    """Send this process' log lines to `fd`, named after it. Call it again after a fork: the child then has a handler of its own."""
    root = logging.getLogger()
    for old in [handler for handler in root.handlers if isinstance(handler, SteadyHandler)]:
        root.removeHandler(old)
        old.close()
    handler = SteadyHandler(fd)
    handler.setFormatter(LineFormatter(to_log(process), colours=os.isatty(fd) and "NO_COLOR" not in os.environ))
    root.addHandler(handler)
    root.setLevel(level.upper())
    return handler


def reopen(stdout_path: str, stderr_path: str) -> None:
    """Put these files in the place of descriptors 1 and 2; both are opened before either is replaced. An empty path leaves its descriptor.

    Called at the start of a daemon, and again to let go of a log file that was rotated away.
    """
    opened: dict[int, int] = {}
    try:
        for fd, path in ((1, stdout_path), (2, stderr_path)):
            if path:
                opened[fd] = _open_log(path)
    except LogFileError:
        for file in opened.values():
            os.close(file)
        raise
    replace(opened)


def replace(files: Mapping[int, int]) -> None:
    """Put open files in the place of descriptors, `{2: file}`; they are closed where they were."""
    for fd, file in files.items():
        os.dup2(file, fd, inheritable=True)
        os.close(file)
    for handler in logging.getLogger().handlers:
        if isinstance(handler, SteadyHandler):
            handler.redirect()


def _open_log(path: str) -> int:
    """Open for appending. No link is followed, and nothing but a file (or a device such as /dev/null) is written to."""
    # O_NONBLOCK: a FIFO in the file's place would otherwise stop us here; on a regular file it means nothing.
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
    try:
        fd = os.open(path, flags, 0o640)
    except OSError as error:
        reason = "it is a symbolic link, which is not followed" if error.errno == errno.ELOOP else error.strerror or str(error)
        raise LogFileError(path, reason) from error
    mode = os.fstat(fd).st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISCHR(mode)):
        os.close(fd)
        raise LogFileError(path, "it is not a regular file")
    return fd


def flush(seconds: float = 0.0) -> None:
    """Write what waits for a slow reader, as far as there is room; wait up to `seconds` for room. Call it now and then, and at the end."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler, SteadyHandler):
            handler.drain(seconds) if seconds else handler.flush()
