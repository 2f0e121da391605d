"""The loggers of one process of an application: made from its configuration, and undone at its end."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from tamago.app.logging.console import Console
from tamago.app.logging.destinations import APP, CORE, ERROR, SCHEDULE, Plan, plan
from tamago.app.logging.file_router import FileRouter
from tamago.app.logging.lines import Current
from tamago.app.logging.options import CustomLogger, LoggerConfig, convert_custom
from tamago.core.app_info import AppInfo
from tamago.errors import TamagoError
from tamago.identity import me
from tamago.types import Role

RELOAD: str = "log-reload"
"""The message that has every process open its log files again, as Egg's rotation sends it."""


class Listens(Protocol):
    """What is needed of a messenger."""

    def on(self, action: str, handler: Callable[[Any], Any]) -> Callable[[], None]: ...


class Loggers:
    """`logger` for the application, `core_logger` for the framework, `error_logger`, `schedule_logger`, and `custom` ones by name.

    They are the standard library's loggers of the names `app`, `tamago`, `tamago.error`, `tamago.schedule` and those configured, so there
    is one set of them in a process.
    """

    def __init__(self, router: FileRouter, console: Console, decided: Plan, custom: Mapping[str, CustomLogger]) -> None:
        self.logger = logging.getLogger(APP)
        self.core_logger = logging.getLogger(CORE)
        self.error_logger = logging.getLogger(ERROR)
        self.schedule_logger = logging.getLogger(SCHEDULE)
        self.custom: Mapping[str, logging.Logger] = {name: logging.getLogger(name) for name in custom}
        self.plan = decided
        self._router = router
        self._console = console
        self._levels: list[tuple[logging.Logger, int]] = []
        self._unsubscribe: Callable[[], None] | None = None
        self._install()

    def get(self, name: str) -> logging.Logger:
        """Return a configured logger by its name. Raises LookupError for one that is not."""
        if name not in self.plan.destinations or not name:
            known = ", ".join(sorted(filter(None, self.plan.destinations)))
            raise LookupError(f"there is no logger {name!r}; there are {known}: add it to custom_logger in the configuration")
        return logging.getLogger(name)

    def listen(self, messenger: Listens) -> None:
        """Reopen the files whenever somebody sends `log-reload`."""
        self._unsubscribe = messenger.on(RELOAD, lambda _: self.reopen())

    def ready(self) -> None:
        """The application is ready: from here on the console is for errors, if it is configured so."""
        if self.plan.quiet_after_ready and not self._console.filter.quiet:
            if me.slot <= 1:  # once is enough: the workers share their files
                place = self.plan.destinations[APP].file
                self.core_logger.info("what the application logs goes to %s and beside it; the console gets its errors only", place)
            self._console.filter.quiet = True

    def reopen(self) -> None:
        """Open the files by their names again, as they were rotated away; what cannot be opened is said, and the old file kept."""
        try:
            self._router.reopen()
        except TamagoError as error:
            self.core_logger.warning("still writing to the old log file: %s", error.problem)

    def flush(self) -> None:
        """Wait until what was logged is written, a second at most."""
        self._router.flush()

    def close(self) -> None:
        """Write what is left, close the files, and leave the loggers as they were found."""
        if self._unsubscribe is not None:
            self._unsubscribe()
        logging.getLogger().removeHandler(self._router)
        for logger, level in self._levels:
            logger.setLevel(level)
        self._levels.clear()
        self._console.close()
        self._router.close()

    def _install(self) -> None:
        process_level = logging.getLogger().getEffectiveLevel()
        for name, destination in self.plan.destinations.items():
            if name:
                logger = logging.getLogger(name)
                self._levels.append((logger, logger.level))
                level = min(destination.level, destination.console_level)
                logger.setLevel(min(level, process_level) if name == CORE else level)
        logging.getLogger().addHandler(self._router)


def build_loggers(
    config: LoggerConfig,
    info: AppInfo,
    role: Role,
    *,
    custom: Mapping[str, Any] | None = None,
    current: Current = lambda: None,
) -> Loggers:
    """Make the loggers of this process, in its own loop's thread and after any fork.

    `custom` is the part `custom_logger`: a CustomLogger, or a mapping with its fields, for each name. `current` returns the context of the
    running request. Raises CustomLoggerError, and LogFileError for a file that cannot be opened.
    """
    entries = convert_custom(custom or {})
    decided = plan(config, entries, info, role)
    router = FileRouter(decided, current, buffer=config.buffer)
    loggers = Loggers(router, Console(decided, current, dev=info.env == "local"), decided, entries)
    if decided.demoted:
        loggers.core_logger.warning("DEBUG is not logged in prod: INFO is, unless logger.allow_debug_at_prod is set")
    return loggers
