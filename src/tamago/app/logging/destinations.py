"""Which line goes to which file, and which to the console. Pure: names and levels in, paths out.

Egg has objects for its loggers. Here each is a logger of the standard library, told by its name, so that `logging.getLogger(__name__)` in
an application's module does what is expected, and a library's logger can be given a file of its own by its name:

- `app` and below (an application's own modules), and whatever else has no place: the application's file
- `tamago` and below: the framework's file
- `tamago.error`, `tamago.schedule`: the files for errors and for schedules
- a key of `custom_logger`, and below: the file it names
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tamago.app.logging.options import Concentrate, CoreLogger, CustomLogger, Level, LoggerConfig
from tamago.core.app_info import AppInfo
from tamago.log import STREAMS
from tamago.types import Role

APP: Final = "app"
CORE: Final = "tamago"
ERROR: Final = "tamago.error"
SCHEDULE: Final = "tamago.schedule"

_TALKATIVE = frozenset({"local", "unittest"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """Where the lines of a logger and of those below it go. `level` and `console_level` are the standard library's numbers."""

    file: str
    level: int
    console_level: int
    concentrate: Concentrate


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """All destinations of a process by the name of their logger; "" has what no other has.

    `quiet_after_ready`: the console gets errors only, once the application is ready. `demoted`: DEBUG was asked for in prod and refused.
    """

    destinations: Mapping[str, Destination]
    error_file: str
    text: bool
    json: bool
    quiet_after_ready: bool
    demoted: bool

    def find(self, name: str) -> Destination:
        """Return the destination of a logger: its own, or that of the nearest above it."""
        return next(self.destinations[place] for place in _upwards(name) if place in self.destinations)

    def files(self, name: str, level: int) -> tuple[str, ...]:
        """Return the files for a line of this logger and level."""
        found = self.find(name)
        if level < found.level:
            return ()
        if level < Level.ERROR.number or found.concentrate is Concentrate.IGNORE or found.file == self.error_file:
            return (found.file,)
        return (self.error_file,) if found.concentrate is Concentrate.REDIRECT else (found.file, self.error_file)


def json_file(path: str) -> str:
    """Return where the JSON lines beside this file go: `x.log` → `x.json.log`. A standard stream has nothing beside it."""
    if path in STREAMS:
        return path
    file = Path(path)
    return str(file.with_name(f"{file.stem}.json{file.suffix or '.log'}"))


def directory(config: LoggerConfig, info: AppInfo) -> Path:
    """Return where log files are."""
    return info.directory / config.dir if config.dir else info.root / "logs" / info.name


def plan(config: LoggerConfig, custom: Mapping[str, CustomLogger], info: AppInfo, role: Role) -> Plan:
    """Decide for a process of this role."""
    place = directory(config, info)
    agent = role is Role.AGENT
    demoted = info.env == "prod" and not config.allow_debug_at_prod and _debugs(config, custom)

    def path(name: str) -> str:
        return str(place / name)

    def destination(file: str, level: Level | None, console: Level | None, concentrate: Concentrate | None = None) -> Destination:
        lowest = Level.INFO.number if demoted else 0
        return Destination(
            file=path(file),
            level=max((level or config.level).number, lowest),
            console_level=max((console or config.console_level).number, lowest),
            concentrate=concentrate or config.concentrate_error,
        )

    app_file = config.agent_log_name if agent else config.app_log_name or f"{info.name}-web.log"
    core_file = config.agent_log_name if agent else config.core_log_name
    core = config.core_logger
    app = destination(app_file, None, None)
    destinations = {
        "": app,
        APP: app,
        CORE: destination(core_file, core.level, core.console_level),
        ERROR: destination(config.error_log_name, _at_least_error(config.level), _at_least_error(config.console_level)),
        SCHEDULE: destination(config.schedule_log_name, None, Level.NONE),
    }
    for name, entry in custom.items():
        destinations[name] = destination(entry.file or app_file, entry.level, entry.console_level, entry.concentrate_error)
    quiet = config.disable_console_after_ready
    return Plan(
        destinations=destinations,
        error_file=path(config.error_log_name),
        text=not config.output_json_only,
        json=config.output_json or config.output_json_only,
        quiet_after_ready=info.env not in _TALKATIVE if quiet is None else quiet,
        demoted=demoted,
    )


def _at_least_error(level: Level) -> Level:
    return level if level is Level.NONE else Level.ERROR


def _debugs(config: LoggerConfig, custom: Mapping[str, CustomLogger]) -> bool:
    parts: tuple[LoggerConfig | CoreLogger | CustomLogger, ...] = (config, config.core_logger, *custom.values())
    return any(level in {Level.ALL, Level.DEBUG} for part in parts for level in (part.level, part.console_level))


def _upwards(name: str) -> Iterator[str]:
    while name:
        yield name
        name = name.rpartition(".")[0]
    yield ""
