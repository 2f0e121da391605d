"""An application's lines on the console: which of them, and who writes them.

In a cluster each process has a handler on stderr already, for all lines, and elsewhere the user may have one; it is only told which lines
of an application to leave out. Where there is none, one is made.
"""

from __future__ import annotations

import logging
import os
import sys
from typing import Final

from tamago.app.logging.console_lines import DevFormatter, RequestFormatter
from tamago.app.logging.destinations import Plan
from tamago.app.logging.lines import Current, FileFormatter
from tamago.log import SteadyHandler

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
            self._own.setFormatter(FileFormatter(current))
            logging.getLogger().addHandler(self._own)
        self._handlers = [(handler, handler.formatter) for handler in console_handlers()]
        for handler, formatter in self._handlers:
            handler.addFilter(self.filter)
            if not isinstance(handler, SteadyHandler):
                continue  # the user's own, and how it looks as well
            if dev:
                handler.setFormatter(DevFormatter(current, colours=_colours()))
            elif handler is not self._own and formatter is not None:
                handler.setFormatter(RequestFormatter(formatter, current))

    def close(self) -> None:
        """Leave the console as it was."""
        for handler, formatter in self._handlers:
            handler.removeFilter(self.filter)
            handler.setFormatter(formatter)
        if self._own is not None:
            logging.getLogger().removeHandler(self._own)
            self._own.close()


def _colours() -> bool:
    return os.isatty(2) and "NO_COLOR" not in os.environ
