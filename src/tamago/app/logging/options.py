"""What can be configured about loggers: the parts `logger` and `custom_logger` of an application's configuration."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Any

import msgspec

from tamago.errors import TamagoError


class Level(Enum):
    """How severe a line must be to be written. Any case is understood in configuration, and WARN as Egg has it."""

    ALL = "ALL"
    DEBUG = "DEBUG"
    INFO = "INFO"
    WARNING = "WARNING"
    ERROR = "ERROR"
    NONE = "NONE"

    @classmethod
    def _missing_(cls, value: object) -> Level | None:
        name = str(value).upper()
        return cls.__members__.get("WARNING" if name == "WARN" else name)

    @property
    def number(self) -> int:
        """What the standard library counts with. ALL is 1, as 0 means "ask the logger above" there."""
        return _NUMBERS[self]


_NUMBERS = {
    Level.ALL: 1,
    Level.DEBUG: logging.DEBUG,
    Level.INFO: logging.INFO,
    Level.WARNING: logging.WARNING,
    Level.ERROR: logging.ERROR,
    Level.NONE: logging.CRITICAL + 1,
}


class Concentrate(Enum):
    """What becomes of the errors of all loggers: also in the error file, only there, or not there."""

    DUPLICATE = "duplicate"
    REDIRECT = "redirect"
    IGNORE = "ignore"


class CoreLogger(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the framework's own lines differ from the application's; None: they do not."""

    level: Level | None = None
    console_level: Level | None = None


class CustomLogger(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One more file, for the standard logger named by the key in `custom_logger` and all below it.

    `file` is relative to `logger.dir`; "" writes to the application's file. None for a level: as `logger` has it.
    """

    file: str = ""
    level: Level | None = None
    console_level: Level | None = None
    concentrate_error: Concentrate | None = None


class CustomLoggerError(TamagoError):
    """The part `custom_logger` cannot be understood. `problems` has one sentence for each logger."""

    def __init__(self, problems: Sequence[str]) -> None:
        known = ", ".join(CustomLogger.__struct_fields__)
        super().__init__("; ".join(problems), hint=f"custom_logger in config: the logger's name, and a dict with any of {known}")
        self.problems = tuple(problems)


def convert_custom(entries: Mapping[str, Any]) -> dict[str, CustomLogger]:
    """Return the part `custom_logger` as its model. Raises CustomLoggerError with all that is wrong."""
    converted: dict[str, CustomLogger] = {}
    problems: list[str] = []
    for name, entry in entries.items():
        try:
            converted[name] = msgspec.convert(entry, CustomLogger)
        except msgspec.ValidationError as error:
            problems.append(f"custom_logger.{name}: {error}")
    if problems:
        raise CustomLoggerError(problems)
    return converted


class LoggerConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The part `logger`. Names of files are relative to `dir`.

    `dir` "" is `logs/<name>` in the root directory. With `buffer` a thread writes what came together in a quarter of a second, so that
    nobody waits for a disk; without it each line is written at once. `disable_console_after_ready` leaves the application's lines below
    ERROR to the files once it is ready; None: everywhere but in local and unittest. `allow_debug_at_prod` is needed for DEBUG in prod.
    """

    dir: str = ""
    level: Level = Level.INFO
    console_level: Level = Level.INFO
    disable_console_after_ready: bool | None = None
    allow_debug_at_prod: bool = False
    buffer: bool = True
    output_json: bool = False
    output_json_only: bool = False
    concentrate_error: Concentrate = Concentrate.DUPLICATE
    app_log_name: str = ""  # "": <name>-web.log
    core_log_name: str = "tamago-web.log"
    agent_log_name: str = "tamago-agent.log"
    error_log_name: str = "common-error.log"
    schedule_log_name: str = "tamago-schedule.log"
    core_logger: CoreLogger = CoreLogger()
