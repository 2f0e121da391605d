from __future__ import annotations

import logging
from pathlib import Path

import msgspec
import pytest

from tamago.app.logging.destinations import Plan, json_file, plan
from tamago.app.logging.options import Concentrate, CoreLogger, CustomLogger, Level, LoggerConfig
from tamago.core.app_info import AppInfo
from tamago.types import Role

INFO, ERROR = logging.INFO, logging.ERROR


def info(env: str = "prod") -> AppInfo:
    home = Path("/home/shop")
    return AppInfo(name="blog", directory=Path("/srv/blog"), env=env, scope="", home=home, root=home)


def decide(
    config: LoggerConfig | None = None, custom: dict[str, CustomLogger] | None = None, *, env: str = "prod", role: Role = Role.WORKER
) -> Plan:
    return plan(config or LoggerConfig(), custom or {}, info(env), role)


def names(decided: Plan, name: str, level: int) -> list[str]:
    return [Path(file).name for file in decided.files(name, level)]


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("app", "blog-web.log"),
        ("app.service.user", "blog-web.log"),
        ("root", "blog-web.log"),
        ("sqlalchemy.engine", "blog-web.log"),
        ("tamago", "tamago-web.log"),
        ("tamago.plugins.static", "tamago-web.log"),
        ("tamagotchi", "blog-web.log"),
        ("tamago.schedule", "tamago-schedule.log"),
        ("tamago.schedule.cron", "tamago-schedule.log"),
    ],
)
def test_a_line_goes_to_the_file_of_the_nearest_logger_above_it(name: str, file: str) -> None:
    assert names(decide(), name, INFO) == [file]


def test_an_agent_has_one_file_for_the_application_and_the_framework() -> None:
    decided = decide(role=Role.AGENT)
    assert names(decided, "app", INFO) == names(decided, "tamago", INFO) == ["tamago-agent.log"]
    assert names(decided, "tamago.schedule", INFO) == ["tamago-schedule.log"]


@pytest.mark.parametrize(
    ("concentrate", "files"),
    [
        (Concentrate.DUPLICATE, ["blog-web.log", "common-error.log"]),
        (Concentrate.REDIRECT, ["common-error.log"]),
        (Concentrate.IGNORE, ["blog-web.log"]),
    ],
)
def test_errors_are_also_in_the_error_file_or_only_there_or_not_there(concentrate: Concentrate, files: list[str]) -> None:
    decided = decide(LoggerConfig(concentrate_error=concentrate))
    assert names(decided, "app", ERROR) == files
    assert names(decided, "app", logging.WARNING) == ["blog-web.log"]


def test_the_error_logger_writes_once_and_nothing_below_errors() -> None:
    assert names(decide(), "tamago.error", ERROR) == ["common-error.log"]
    assert names(decide(), "tamago.error", logging.WARNING) == []


def test_lines_below_the_level_go_nowhere() -> None:
    decided = decide(LoggerConfig(level=Level.WARNING, core_logger=CoreLogger(level=Level.ERROR)))
    assert names(decided, "app", INFO) == []
    assert names(decided, "app", logging.WARNING) == ["blog-web.log"]
    assert names(decided, "tamago", logging.WARNING) == []
    assert names(decide(LoggerConfig(level=Level.NONE)), "app", logging.CRITICAL) == []


def test_a_custom_logger_takes_what_is_below_its_name() -> None:
    decided = decide(custom={"sqlalchemy": CustomLogger(file="sql.log", level=Level.ERROR, concentrate_error=Concentrate.IGNORE)})
    assert names(decided, "sqlalchemy.engine", ERROR) == ["sql.log"]
    assert names(decided, "sqlalchemy.engine", INFO) == []
    assert names(decided, "sqlalchemytoo", INFO) == ["blog-web.log"]


def test_a_custom_logger_without_a_file_only_has_levels_of_its_own() -> None:
    decided = decide(custom={"httpx": CustomLogger(level=Level.WARNING)})
    assert names(decided, "httpx", INFO) == []
    assert names(decided, "httpx", logging.WARNING) == ["blog-web.log"]


@pytest.mark.parametrize(
    ("configured", "place"),
    [("", "/home/shop/logs/blog"), ("var/log", "/srv/blog/var/log"), ("/var/log/blog", "/var/log/blog")],
)
def test_files_are_in_the_configured_directory(configured: str, place: str) -> None:
    assert decide(LoggerConfig(dir=configured)).files("app", INFO) == (f"{place}/blog-web.log",)


def test_debug_in_prod_is_refused_unless_allowed() -> None:
    refused = decide(LoggerConfig(level=Level.DEBUG))
    assert refused.demoted
    assert names(refused, "app", logging.DEBUG) == []
    assert names(decide(LoggerConfig(level=Level.DEBUG, allow_debug_at_prod=True)), "app", logging.DEBUG) == ["blog-web.log"]
    assert names(decide(LoggerConfig(level=Level.DEBUG), env="local"), "app", logging.DEBUG) == ["blog-web.log"]


def test_a_level_above_info_is_no_matter_of_debug() -> None:
    decided = decide(LoggerConfig(level=Level.ERROR, console_level=Level.DEBUG))
    assert decided.destinations["app"].level == ERROR
    assert decided.destinations["app"].console_level == INFO


@pytest.mark.parametrize(("env", "quiet"), [("prod", True), ("staging", True), ("local", False), ("unittest", False)])
def test_the_console_is_for_errors_once_ready_but_where_somebody_watches(env: str, quiet: bool) -> None:
    assert decide(env=env).quiet_after_ready is quiet
    assert decide(LoggerConfig(disable_console_after_ready=not quiet), env=env).quiet_after_ready is not quiet


def test_json_lines_have_a_file_beside_the_other_and_a_stream_none() -> None:
    assert json_file("/logs/blog-web.log") == "/logs/blog-web.json.log"
    assert json_file("/logs/audit") == "/logs/audit.json.log"
    assert json_file("/dev/stdout") == "/dev/stdout"


@pytest.mark.parametrize(
    ("text", "level"), [("info", Level.INFO), ("WARN", Level.WARNING), ("warning", Level.WARNING), ("None", Level.NONE), ("ALL", Level.ALL)]
)
def test_levels_are_understood_in_any_case_and_as_egg_names_them(text: str, level: Level) -> None:
    assert msgspec.convert({"level": text}, LoggerConfig).level is level


def test_an_unknown_level_is_an_error_that_names_it() -> None:
    with pytest.raises(msgspec.ValidationError, match=r"Invalid enum value 'loud' - at `\$\.level`"):
        msgspec.convert({"level": "loud"}, LoggerConfig)


def test_a_json_only_plan_has_no_text() -> None:
    assert (decide(LoggerConfig(output_json_only=True)).text, decide(LoggerConfig(output_json_only=True)).json) == (False, True)
    assert (decide(LoggerConfig(output_json=True)).text, decide(LoggerConfig(output_json=True)).json) == (True, True)
