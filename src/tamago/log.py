"""Log lines on stderr: their form, how a process is named in them, and a handler that neither blocks nor dies.

Whoever reads our stderr may stop reading, go away, or run out of disk. Serving goes on in each case: lines wait in a bounded buffer,
then are dropped and counted, and the count is logged once there is room again. Knows nothing of clusters: it is told its own name.
"""

from __future__ import annotations

import errno
import logging
import os
import stat
import time
from collections.abc import Mapping
from typing import Final, Protocol

from tamago.errors import TamagoError
from tamago.line_writer import LineWriter
from tamago.types import Role


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

    def __init__(self, path: str, reason: str, *, flags: str = "other --stdout and --stderr") -> None:
        super().__init__(f"cannot write the log file {path}: {reason}", hint=f"check the path and its directory, or pass {flags}")
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
    """Writes each line to a descriptor without ever waiting for whoever reads it (see `LineWriter`).

    Every later line tries those again that found no room, and so does `flush`, which somebody should call now and then.
    """

    def __init__(self, fd: int = 2) -> None:
        super().__init__()
        self._writer = LineWriter(fd)
        self._pid = os.getpid()

    @property
    def dropped(self) -> int:
        """Lines lost since that was last reported."""
        return self._writer.dropped

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
        self.flush()
        self._writer.drain(seconds)
        self.flush()

    def redirect(self, fd: int | None = None) -> None:
        """Look at the descriptor again, as it was replaced by another file, or write to another one. What waits goes there."""
        self.acquire()
        try:
            self._writer.redirect(fd)
        finally:
            self.release()

    def close(self) -> None:
        """Write what can be written and let go of the descriptor, which stays open. In a forked child write nothing: it is the parent's.

        A line that comes later all the same (`atexit`, a thread) is written as any other.
        """
        if os.getpid() == self._pid:
            self.flush()
        self._writer.close()
        super().close()

    def _push(self, line: str, lines: int = 1) -> None:
        self._writer.push(line.encode("utf-8", "backslashreplace") + b"\n", lines)

    def _write_waiting(self) -> None:
        writer = self._writer
        waited = bool(writer)
        if writer.write() and waited and writer.dropped:
            lines, writer.dropped = writer.dropped, 0
            text = f"{lines} log lines were dropped: nobody took them, or the disk was full"
            self._push(self.format(logging.LogRecord("tamago.log", logging.WARNING, __file__, 0, text, None, None)), lines)
            writer.write()


class LogFile:
    """Lines of another kind than the log's own: in the file at `path`, or on a standard stream (STREAMS; "" is standard output).

    `reopen` and `flush` reach it as long as it is not closed. Raises LogFileError; `flags` says which ones name the file.
    """

    def __init__(self, path: str, *, flags: str) -> None:
        self._path = path
        self._flags = flags
        self._fd = self._open()
        self.writer = LineWriter(self._fd)
        _files.add(self)

    def _open(self) -> int:
        return STREAMS[self._path] if self._path in STREAMS else open_log(self._path, flags=self._flags)

    def reopen(self) -> None:
        """Open the file by its name again; what waits goes to the new one."""
        self.writer.write()
        old, self._fd = self._fd, self._open()
        self.writer.redirect(self._fd)
        if old not in STREAMS.values():
            os.close(old)

    def drain(self, seconds: float) -> None:
        """Write what waits; give a slow reader this long to take it."""
        self.writer.drain(seconds)

    def close(self) -> None:
        """Write what can be written."""
        _files.discard(self)
        self.writer.write()
        self.writer.close()
        if self._fd not in STREAMS.values():
            os.close(self._fd)


STREAMS: Final = {"": 1, "-": 1, "/dev/stdout": 1, "/dev/stderr": 2}
"""Paths that mean a standard stream. The devices are links, which are not followed, and need no opening."""

_files: set[LogFile] = set()


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
                opened[fd] = open_log(path)
    except LogFileError:
        for descriptor in opened.values():
            os.close(descriptor)
        raise
    replace(opened)


def replace(files: Mapping[int, int]) -> None:
    """Put open files in the place of descriptors, `{2: file}`, and close them where they were; reopen the files of other lines by name.

    Raises LogFileError for one of the latter, which then goes on with the old file.
    """
    for fd, opened in files.items():
        os.dup2(opened, fd, inheritable=True)
        os.close(opened)
    for handler in logging.getLogger().handlers:
        if isinstance(handler, SteadyHandler):
            handler.redirect()
    for file in _files:
        file.reopen()


_NO_FILE: Final = "it is not a regular file"
_UNFIT: Final = {errno.ELOOP: "it is a symbolic link, which is not followed", errno.ENXIO: _NO_FILE}  # ENXIO: a FIFO nobody reads


def open_log(path: str, *, flags: str = "other --stdout and --stderr") -> int:
    """Open for appending. No link is followed, and nothing but a file (or a device such as /dev/null) is written to.

    Raises LogFileError; `flags` says which ones name the file.
    """
    # O_NONBLOCK: a FIFO in the file's place would otherwise stop us here; on a regular file it means nothing.
    mode = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
    try:
        fd = os.open(path, mode, 0o640)
    except OSError as error:
        raise LogFileError(path, _UNFIT.get(error.errno or 0) or (error.strerror or str(error)).lower(), flags=flags) from None
    kind = os.fstat(fd).st_mode
    if not (stat.S_ISREG(kind) or stat.S_ISCHR(kind)):
        os.close(fd)
        raise LogFileError(path, _NO_FILE, flags=flags)
    return fd


def flush(seconds: float = 0.0) -> None:
    """Write what waits for a slow reader, as far as there is room; wait up to `seconds` for room. Call it now and then, and at the end."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler, SteadyHandler):
            handler.drain(seconds) if seconds else handler.flush()
    for file in _files:
        file.drain(seconds)
