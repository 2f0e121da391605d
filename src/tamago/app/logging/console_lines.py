"""How an application's lines look on the console."""

from __future__ import annotations

import logging

from tamago.app.logging.lines import Current, Stamp, bracket, context_facts, context_of, message_of, shown, source_of, traceback_of
from tamago.identity import me
from tamago.types import Role


class DevFormatter(logging.Formatter):
    """`16:23:43.737 INFO  worker 1  GET /posts 7ms  [service.user] message`, in colours on a terminal."""

    def __init__(self, current: Current, *, colours: bool) -> None:
        super().__init__()
        self._current = current
        self._stamp = Stamp("%H:%M:%S")
        self._colours = colours
        self._process = "agent" if me.role is Role.AGENT else f"worker {me.slot}"

    def format(self, record: logging.LogRecord) -> str:
        """Return the line without its end."""
        text = source_of(record.name) + message_of(record)
        if trace := traceback_of(record):
            text = f"{text}\n{trace}"
        time = self._paint(f"{self._stamp(record)}.{int(record.msecs):03d}", _DIM)
        level = self._paint(f"{_SHORT.get(record.levelname, record.levelname):<5}", _COLOURS.get(record.levelno, _DIM))
        context = context_of(record, self._current)
        about = "" if context is None else self._paint(shown(_request(context)), _CYAN) + "  "
        return f"{time} {level} {self._paint(self._process, _DIM)}  {about}{shown(text)}"

    def _paint(self, text: str, colour: str) -> str:
        return f"\x1b[{colour}m{text}\x1b[0m" if self._colours else text


class RequestFormatter(logging.Formatter):
    """The lines of another formatter, with what is known of the request before the message, as in the files."""

    def __init__(self, other: logging.Formatter, current: Current) -> None:
        super().__init__()
        self._other = other
        self._current = current

    def format(self, record: logging.LogRecord) -> str:
        """Return the line without its end."""
        context = context_of(record, self._current)
        if context is None:
            return self._other.format(record)
        told = logging.makeLogRecord(vars(record))
        told.msg, told.args = bracket(context_facts(context)) + message_of(record), None
        return self._other.format(told)


def _request(context: object) -> str:
    return "{method} {url} {use_ms}ms".format_map(context_facts(context))


_DIM, _CYAN = "2", "36"
_COLOURS = {logging.INFO: "32", logging.WARNING: "33", logging.ERROR: "31", logging.CRITICAL: "1;31"}
_SHORT = {"WARNING": "WARN", "CRITICAL": "FATAL"}
