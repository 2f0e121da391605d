"""The form of a line in a log file: Egg's, and as JSON.

A record may come from a request; what is known of that stands in brackets. Text that others chose cannot forge a line or steer a
terminal: a line that does not begin with a date belongs to the one above it, and control characters are shown, not written.
"""

from __future__ import annotations

import json
import logging
import re
import socket
import time
from collections.abc import Callable
from typing import Any, Final

import msgspec

LONGEST: Final = 10_000
"""Characters of a message; what is longer is cut, and says so."""

Current = Callable[[], object | None]
"""Returns the context of the request this code runs for, if any."""

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")
_PLAIN_FIELDS = frozenset(vars(logging.LogRecord("", 0, "", 0, "", None, None))) | {"message", "asctime", "taskName", "context"}


class Stamp:
    """Turns a record's time into text, and remembers what a second looks like."""

    def __init__(self, form: str = "%Y-%m-%d %H:%M:%S") -> None:
        self._form = form
        self._second = -1
        self._text = ""

    def __call__(self, record: logging.LogRecord) -> str:
        second = int(record.created)
        if second != self._second:
            self._text = time.strftime(self._form, time.localtime(second))
            self._second = second
        return self._text


def message_of(record: logging.LogRecord) -> str:
    """Return a record's message, cut if it is too long; a wrong log call tells so, instead of breaking what it reports on."""
    try:
        text = record.getMessage()
    except Exception as error:  # noqa: BLE001  whatever formatting the arguments raises
        text = f"{record.pathname}:{record.lineno}: bad log call: {record.msg!r}: {error!r}"
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}… ({len(text) - LONGEST} more characters)"


def traceback_of(record: logging.LogRecord) -> str:
    """Return the traceback or stack that belongs to the record, "" without one."""
    if record.exc_info and not record.exc_text:
        record.exc_text = _plain.formatException(record.exc_info)
    return "\n".join(part for part in (record.exc_text, record.stack_info) if part)


def shown(text: str) -> str:
    """Return text that cannot be taken for another line: continued ones are indented, control characters written as escapes."""
    if _CONTROL.search(text):
        text = _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), text)
    return text.replace("\n", "\n  ") if "\n" in text else text


def context_of(record: logging.LogRecord, current: Current) -> object | None:
    """Return the context a record belongs to: the one it was logged with, else the current one."""
    return getattr(record, "context", None) or current()


def context_facts(context: object) -> dict[str, Any]:
    """Return what a line says of the request, in this order; unknown values are "-"."""
    return {
        "user_id": getattr(context, "user_id", None) or "-",
        "ip": getattr(context, "ip", None) or "-",
        "trace_id": getattr(context, "trace_id", None) or getattr(context, "request_id", None) or "-",
        "use_ms": round(getattr(context, "elapsed", 0.0) * 1000),
        "method": getattr(context, "method", None) or "-",
        "url": getattr(context, "url", None) or "-",
    }


def bracket(facts: dict[str, Any]) -> str:
    """Return the facts of a request as they stand before a message, with a space after them."""
    text = "[{user_id}/{ip}/{trace_id}/{use_ms}ms {method} {url}] ".format_map(facts)
    return shown(text).replace("\n", "\\n")


def source_of(name: str) -> str:
    """Return how a logger is named before its message: `[service.user] ` for `app.service.user`, nothing for our own and `app` itself."""
    first, _, rest = name.partition(".")
    if first == "app":
        return f"[{rest}] " if rest else ""
    return "" if first in {"tamago", "root"} else f"[{name}] "


class FileFormatter(logging.Formatter):
    """`2026-11-22 16:23:43,737 WARNING 30215 [-/127.0.0.1/-/7ms GET /?a=1] [controller.home] message`; a traceback stands below."""

    def __init__(self, current: Current) -> None:
        super().__init__()
        self._current = current
        self._stamp = Stamp()

    def format(self, record: logging.LogRecord) -> str:
        """Return the line without its end."""
        context = context_of(record, self._current)
        about = "" if context is None else bracket(context_facts(context))
        text = source_of(record.name) + message_of(record)
        if trace := traceback_of(record):
            text = f"{text}\n{trace}"
        return f"{self._stamp(record)},{int(record.msecs):03d} {record.levelname} {record.process} {about}{shown(text)}"


class JsonFormatter(logging.Formatter):
    """One JSON object a line: level, date, pid, hostname, logger, message, what is known of the request, and what `extra=` gave."""

    def __init__(self, current: Current) -> None:
        super().__init__()
        self._current = current
        self._stamp = Stamp("%Y-%m-%dT%H:%M:%S")
        self._hostname = socket.gethostname()

    def format(self, record: logging.LogRecord) -> str:
        """Return the line without its end."""
        zone = time.strftime("%z", time.localtime(record.created))
        fields = {
            "level": record.levelname,
            "date": f"{self._stamp(record)}.{int(record.msecs):03d}{zone[:3]}:{zone[3:]}",
            "pid": record.process,
            "hostname": self._hostname,
            "logger": record.name,
            "message": message_of(record),
        }
        if (context := context_of(record, self._current)) is not None:
            fields |= context_facts(context)
        if trace := traceback_of(record):
            fields["traceback"] = trace
        extra = {key: value for key, value in vars(record).items() if key not in _PLAIN_FIELDS}
        try:
            return msgspec.json.encode(extra | fields, enc_hook=repr).decode()
        except (UnicodeEncodeError, TypeError, RecursionError):  # half a character, such as in a file's name; a dict with odd keys
            return json.dumps({key: str(value) for key, value in (extra | fields).items()})


_plain = logging.Formatter()
