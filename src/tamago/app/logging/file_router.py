"""The one handler that writes an application's files: it asks the plan where a record goes."""

from __future__ import annotations

import logging
from collections.abc import Callable

from tamago.app.logging.destinations import Plan, json_file
from tamago.app.logging.lines import Current, FileFormatter, JsonFormatter
from tamago.app.logging.queued_file import QueuedFile, WriterThread

DRAIN: float = 1.0
"""Seconds a slow disk gets to take what is left at the end."""


class FileRouter(logging.Handler):
    """Hangs on the root logger, so that lines of every logger reach it. Raises LogFileError for a file that cannot be opened."""

    def __init__(self, plan: Plan, current: Current, *, buffer: bool) -> None:
        super().__init__()
        self._plan = plan
        self._thread = WriterThread(buffer=buffer)
        self._text = FileFormatter(current)
        self._json = JsonFormatter(current)
        self._found: dict[tuple[str, int], tuple[list[QueuedFile], list[QueuedFile]]] = {}
        paths = sorted({destination.file for destination in plan.destinations.values()} | {plan.error_file})
        try:
            self._text_files = {path: self._file(path, self._text) for path in paths if plan.text}
            self._json_files = {path: self._file(json_file(path), self._json) for path in paths if plan.json}
        except BaseException:
            self.close()
            raise

    def emit(self, record: logging.LogRecord) -> None:
        """Queue the record for its files."""
        key = (record.name, record.levelno)
        found = self._found.get(key)
        if found is None:
            found = self._found[key] = self._find(*key)
        urgent = record.levelno >= logging.ERROR
        for formatter, files in zip((self._text, self._json), found, strict=True):
            if not files:
                continue
            try:
                line = _encode(formatter.format(record))
            except Exception:  # noqa: BLE001  such as what an application's own context raises
                self.handleError(record)
                continue
            for file in files:
                file.push(line, urgent=urgent)

    def reopen(self) -> None:
        """Open all files by their names again. Raises LogFileError for those that cannot be; the others are."""
        errors: list[Exception] = []
        for file in tuple(self._thread.files):
            try:
                file.reopen()
            except Exception as error:  # noqa: BLE001  the other files all the same
                errors.append(error)
        if errors:
            raise errors[0]

    def flush(self) -> None:
        """Wait until the lines are written, a second at most."""
        self._thread.drain(DRAIN)

    def close(self) -> None:
        """Write what is queued and close the files."""
        self._thread.close(DRAIN)
        super().close()

    def _find(self, name: str, level: int) -> tuple[list[QueuedFile], list[QueuedFile]]:
        paths = self._plan.files(name, level)
        return (
            [self._text_files[path] for path in paths if self._plan.text],
            [self._json_files[path] for path in paths if self._plan.json],
        )

    def _file(self, path: str, formatter: logging.Formatter) -> QueuedFile:
        return QueuedFile(path, self._thread, _announcement(formatter))


def _announcement(formatter: logging.Formatter) -> Callable[[str], bytes]:
    def announce(text: str) -> bytes:
        return _encode(formatter.format(logging.LogRecord("tamago.log", logging.WARNING, __file__, 0, text, None, None)))

    return announce


def _encode(line: str) -> bytes:
    return line.encode("utf-8", "backslashreplace") + b"\n"
