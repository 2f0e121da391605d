"""An application's lines on the console: which of them, and how they look to whoever writes the application.

In a cluster each process has a handler on stderr already, for all lines, and elsewhere the user may have one; it is only told which lines
of an application to leave out. Where there is none, one is made.
"""

from __future__ import annotations

import logging
import os
import sys
from typing import Final

from tamago.app.logging.destinations import Plan
from tamago.app.logging.lines import Current, Stamp, context_facts, context_of, message_of, shown, source_of, traceback_of
from tamago.identity import me
from tamago.log import SteadyHandler
from tamago.types import Role

_PROCESS: Final = ("tamago.cluster", "tamago.server", "tamago.ipc")
"""Loggers of the process rather than of the application in it: how much they say is the cluster's setting."""


class ConsoleFilter(logging.Filter):
    """Lets pass what the plan has for the console, and once `quiet`, only errors."""

    def __init__(self, plan: Plan) -> None:
        super().__init__()
        self.quiet = False
        self._plan = plan
        self._levels: dict[str, int] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether this line is written."""
        level = self._levels.get(record.name)
        if level is None:
            level = self._levels[record.name] = 0 if of_the_process(record.name) else self._plan.find(record.name).console_level
        return record.levelno >= (max(level, logging.ERROR) if self.quiet and level else level)


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
        text = shown(source_of(record.name) + message_of(record))
        if trace := traceback_of(record):
            text = f"{text}\n{shown(trace)}"
        time = self._paint(f"{self._stamp(record)}.{int(record.msecs):03d}", _DIM)
        level = self._paint(f"{_SHORT.get(record.levelname, record.levelname):<5}", _COLOURS.get(record.levelno, _DIM))
        context = context_of(record, self._current)
        about = "" if context is None else self._paint(shown(_request(context)), _CYAN) + "  "
        return f"{time} {level} {self._paint(self._process, _DIM)}  {about}{text}"

    def _paint(self, text: str, colour: str) -> str:
        return f"\x1b[{colour}m{text}\x1b[0m" if self._colours else text


def of_the_process(name: str) -> bool:
    """Whether lines of this logger are the process' affair and not the application's."""
    return name.startswith(_PROCESS)


def console_handlers() -> list[logging.Handler]:
    """Return the handlers of the root logger that write to a standard stream."""
    streams = (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__)
    return [
        handler
        for handler in logging.getLogger().handlers
        if isinstance(handler, SteadyHandler) or (isinstance(handler, logging.StreamHandler) and handler.stream in streams)
    ]


class Console:
    """What was done to the console for an application; `close` undoes it."""

    def __init__(self, plan: Plan, current: Current, *, dev: bool) -> None:
        self.filter = ConsoleFilter(plan)
        self._own: SteadyHandler | None = None
        if not console_handlers():
            self._own = SteadyHandler()
            self._own.setFormatter(DevFormatter(current, colours=_colours()))
            logging.getLogger().addHandler(self._own)
        self._handlers = [(handler, handler.formatter) for handler in console_handlers()]
        for handler, _ in self._handlers:
            handler.addFilter(self.filter)
            if dev and isinstance(handler, SteadyHandler):
                handler.setFormatter(DevFormatter(current, colours=_colours()))

    def close(self) -> None:
        """Leave the console as it was."""
        for handler, formatter in self._handlers:
            handler.removeFilter(self.filter)
            handler.setFormatter(formatter)
        if self._own is not None:
            logging.getLogger().removeHandler(self._own)
            self._own.close()


def _request(context: object) -> str:
    return "{method} {url} {use_ms}ms".format_map(context_facts(context))


def _colours() -> bool:
    return os.isatty(2) and "NO_COLOR" not in os.environ


_DIM, _CYAN = "2", "36"
_COLOURS = {logging.INFO: "32", logging.WARNING: "33", logging.ERROR: "31", logging.CRITICAL: "1;31"}
_SHORT = {"WARNING": "WARN", "CRITICAL": "FATAL"}
