"""Says whether something was logged. Egg's `mockLog`, `expectLog` and `notExpectLog`."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from typing import Self

_SHOWN = 20
"""Lines that are listed when the one expected is not among them."""


class LogExpectations(logging.Handler):
    """What the fixture `expect_log` is. It hears what the loggers let through: a level below the configured one is not logged at all."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def __enter__(self) -> Self:
        logging.getLogger().addHandler(self)
        return self

    def __exit__(self, *_: object) -> None:
        logging.getLogger().removeHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the record."""
        self.records.append(record)

    def __call__(self, expected: str | re.Pattern[str], *, logger: str = "", level: int = logging.NOTSET) -> logging.LogRecord:
        """Return the first record whose message has this text in it, or matches this pattern somewhere. Raises AssertionError if none does.

        `logger`: of this logger, or one below it ("app", "tamago"); `level`: at least this severe (`logging.WARNING`).
        """
        __tracebackhide__ = True
        found = next(self._matching(expected, logger, level), None)
        if found is None:
            raise AssertionError(f"{_spell(expected)} was not logged{_where(logger)}; {self._listed()}")
        return found

    def never(self, unexpected: str | re.Pattern[str], *, logger: str = "", level: int = logging.NOTSET) -> None:
        """Raise AssertionError if there is such a record."""
        __tracebackhide__ = True
        found = next(self._matching(unexpected, logger, level), None)
        if found is not None:
            raise AssertionError(f"{_spell(unexpected)} was logged{_where(logger)}: {_line(found)}")

    def _matching(self, wanted: str | re.Pattern[str], logger: str, level: int) -> Iterator[logging.LogRecord]:
        for record in self.records:
            if record.levelno >= level and (not logger or f"{record.name}.".startswith(f"{logger}.")):
                message = record.getMessage()
                if wanted in message if isinstance(wanted, str) else wanted.search(message):
                    yield record

    def _listed(self) -> str:
        if not self.records:
            return "nothing was"
        lines = "".join(f"\n  {_line(record)}" for record in self.records[-_SHOWN:])
        return f"this was:{lines}"


def _spell(wanted: str | re.Pattern[str]) -> str:
    return repr(wanted) if isinstance(wanted, str) else f"/{wanted.pattern}/"


def _where(logger: str) -> str:
    return f" by the logger {logger!r}" if logger else ""


def _line(record: logging.LogRecord) -> str:
    return f"{record.levelname} {record.name}: {record.getMessage()}"
