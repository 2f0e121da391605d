"""`tamago logs`: the end of a daemon's log files, and what follows."""

from __future__ import annotations

import os
import select
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from enum import StrEnum
from pathlib import Path
from typing import Annotated, BinaryIO, Self

import typer

from tamago.cli.choice import Directory, Title, base, title_of
from tamago.cluster.home import LogPaths, log_paths
from tamago.cluster.running import find_title
from tamago.errors import TamagoError

FOLLOW_SECONDS = 0.2
_BLOCK = 64 * 1024


class Stream(StrEnum):
    """Which of the two log files."""

    ALL = "all"
    STDOUT = "stdout"
    STDERR = "stderr"


class NoLogError(TamagoError):
    """There is no log file to show."""


def logs(
    directory: Directory = ".",
    *,
    title: Title = "",
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what is written from now on, until Ctrl-C.")] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", metavar="N", min=0, help="How many lines of each file to begin with.")] = 50,
    stream: Annotated[Stream, typer.Option(help="Which of the two files; the log itself is in stderr.")] = Stream.ALL,
) -> int:
    """Show the log files of a daemon.

    Works also after it ended.
    """
    name = title_of(directory, title)
    paths = paths_of(name)
    wanted = [path for kind, path in (("stdout", paths.stdout), ("stderr", paths.stderr)) if stream in (Stream.ALL, kind)]
    with ExitStack() as stack:
        files = [stack.enter_context(Followed(path)) for path in wanted]
        _show(name, files, lines=lines, follow=follow)
    return 0


def _show(title: str, files: list[Followed], *, lines: int, follow: bool) -> None:
    if not any(file.is_there for file in files):
        raise NoLogError(
            f"{title} has no log file {' or '.join(str(file.path) for file in files)}",
            hint="only a daemon writes log files; in the foreground they are on the terminal",
        )
    for file in files:
        _write(file.tail(lines))
    while follow:
        sys.stdout.flush()
        select.select([], [], [], FOLLOW_SECONDS)
        for file in files:
            for block in file.news():
                _write(block)


def paths_of(title: str) -> LogPaths:
    """Return where a cluster logs, or would if it were a daemon."""
    running = find_title(base(), title)
    if running is not None and running.owner.stderr:
        return LogPaths(stdout=Path(running.owner.stdout), stderr=Path(running.owner.stderr))
    return log_paths(base(), title)


def _write(data: bytes) -> None:
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


class Followed:
    """A log file, also after it was renamed away and made anew, or cut."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: BinaryIO | None = None
        self._open()

    @property
    def is_there(self) -> bool:
        return self._file is not None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()

    def _open(self) -> None:
        try:
            self._file = open(self.path, "rb")  # noqa: SIM115 - it stays open to be followed
        except FileNotFoundError:
            self._file = None
        except OSError as error:
            raise NoLogError(
                f"cannot read {self.path}: {(error.strerror or str(error)).lower()}", hint="who started it may read it"
            ) from None

    def tail(self, lines: int) -> bytes:
        """Return the last lines and stand at the end."""
        if self._file is None:
            return b""
        end = self._file.seek(0, os.SEEK_END)
        data = b""
        start = end
        # One line end more than lines: the one before the first of them.
        while start > 0 and data.count(b"\n") <= lines:
            start = max(0, start - _BLOCK)
            self._file.seek(start)
            data = self._file.read(end - start)
        self._file.seek(end)
        return b"".join(data.splitlines(keepends=True)[-lines:]) if lines else b""

    def news(self) -> Iterator[bytes]:
        """Yield what was written since."""
        if self._file is not None:
            if os.fstat(self._file.fileno()).st_size < self._file.tell():
                self._file.seek(0)
            while data := self._file.read(_BLOCK):
                yield data
        if self._was_replaced():
            if self._file is not None:
                self._file.close()
            self._open()
            if self._file is not None:
                yield from self.news()

    def _was_replaced(self) -> bool:
        try:
            there = os.stat(self.path)
        except OSError:
            return False
        return self._file is None or not os.path.samestat(there, os.fstat(self._file.fileno()))
