from __future__ import annotations

import contextvars
import json
import logging
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tamago.app.logging import ContextLogger, CustomLogger, Level, LoggerConfig, Loggers, build_loggers
from tamago.app.logging.console import console_handlers
from tamago.app.logging.options import CoreLogger, CustomLoggerError, convert_custom
from tamago.core.app_info import AppInfo
from tamago.log import LineFormatter, LogFileError, SteadyHandler
from tamago.types import Role

running: contextvars.ContextVar[object | None] = contextvars.ContextVar("running", default=None)


@contextmanager
def loggers(
    directory: Path,
    config: LoggerConfig | None = None,
    *,
    env: str = "unittest",
    role: Role = Role.WORKER,
    custom: dict[str, CustomLogger] | None = None,
) -> Iterator[Loggers]:
    info = AppInfo(name="blog", directory=directory, env=env, scope="", home=directory, root=directory)
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.WARNING)  # whatever other tests left it at
    made = build_loggers(config or LoggerConfig(buffer=False), info, role, custom=custom, current=running.get)
    try:
        yield made
    finally:
        made.close()
        root.setLevel(level)


def read(directory: Path) -> dict[str, list[str]]:
    return {file.name: file.read_text().splitlines() for file in (directory / "logs/blog").iterdir()}


def messages(directory: Path) -> dict[str, list[str]]:
    return {name: [line.split(" ", 4)[4] for line in lines] for name, lines in read(directory).items() if lines and ".json" not in name}


def test_each_logger_writes_its_file_and_errors_are_in_the_error_file_too(tmp_path: Path) -> None:
    with loggers(tmp_path) as made:
        made.logger.info("app")
        made.core_logger.info("core")
        made.schedule_logger.info("schedule")
        made.error_logger.error("error")
        made.logger.error("failed")
        logging.getLogger("app.service.user").info("user")
        logging.getLogger("other.library").warning("library")
        logging.getLogger("other.library").info("below the root logger's level")
    assert messages(tmp_path) == {
        "blog-web.log": ["app", "failed", "[service.user] user", "[other.library] library"],
        "tamago-web.log": ["core"],
        "tamago-schedule.log": ["schedule"],
        "common-error.log": ["error", "failed"],
    }


def test_an_agent_writes_to_the_agents_file(tmp_path: Path) -> None:
    with loggers(tmp_path, role=Role.AGENT) as made:
        made.logger.info("app")
        made.core_logger.info("core")
    assert messages(tmp_path) == {"tamago-agent.log": ["app", "core"]}


def test_custom_loggers_are_found_by_name_and_unknown_ones_are_not(tmp_path: Path) -> None:
    with loggers(tmp_path, custom={"audit": CustomLogger(file="audit.log")}) as made:
        made.get("audit").info("seen")
        assert made.custom == {"audit": logging.getLogger("audit")}
        with pytest.raises(LookupError, match="there is no logger 'audt'; there are app, audit, tamago"):
            made.get("audt")
    assert messages(tmp_path) == {"audit.log": ["[audit] seen"]}


def test_custom_loggers_come_as_configured_and_all_that_is_wrong_is_named(tmp_path: Path) -> None:
    assert convert_custom({"audit": {"file": "audit.log", "level": "warn"}}) == {
        "audit": CustomLogger(file="audit.log", level=Level.WARNING)
    }
    with pytest.raises(CustomLoggerError) as caught:
        convert_custom({"audit": {"flie": "x"}, "sql": {"level": "loud"}, "fine": {}})
    assert [problem.partition(": ")[0] for problem in caught.value.problems] == ["custom_logger.audit", "custom_logger.sql"]
    assert "`flie`" in caught.value.problem
    assert "'loud'" in caught.value.problem


def test_lines_name_the_request_they_belong_to(tmp_path: Path) -> None:
    context = SimpleNamespace(method="GET", url="/a", ip="::1", elapsed=0.0, request_id="r1")
    with loggers(tmp_path) as made:
        token = running.set(context)
        made.logger.info("inside")
        running.reset(token)
        made.logger.info("outside")
        ContextLogger(made.logger, context).info("by its own logger")
    assert messages(tmp_path)["blog-web.log"] == ["[-/::1/r1/0ms GET /a] inside", "outside", "[-/::1/r1/0ms GET /a] by its own logger"]


def test_levels_of_core_and_application_differ_if_configured(tmp_path: Path) -> None:
    config = LoggerConfig(buffer=False, level=Level.DEBUG, core_logger=CoreLogger(level=Level.ERROR))
    with loggers(tmp_path, config) as made:
        made.logger.debug("fine")
        made.core_logger.warning("not this")
    assert messages(tmp_path) == {"blog-web.log": ["fine"]}


def test_debug_in_prod_says_that_it_is_not_logged(tmp_path: Path) -> None:
    with loggers(tmp_path, LoggerConfig(buffer=False, level=Level.DEBUG), env="prod") as made:
        made.logger.debug("secret")
    assert messages(tmp_path) == {"tamago-web.log": ["DEBUG is not logged in prod: INFO is, unless logger.allow_debug_at_prod is set"]}


def test_json_lines_stand_beside_the_others_or_instead(tmp_path: Path) -> None:
    with loggers(tmp_path, LoggerConfig(buffer=False, output_json=True)) as made:
        made.logger.info("both", extra={"order": 7})
    entry = json.loads(read(tmp_path)["blog-web.json.log"][0])
    assert (entry["message"], entry["order"]) == ("both", 7)
    assert messages(tmp_path)["blog-web.log"] == ["both"]
    with loggers(tmp_path / "only", LoggerConfig(buffer=False, output_json_only=True)) as made:
        made.logger.info("json")
    assert {name for name, lines in read(tmp_path / "only").items() if lines} == {"blog-web.json.log"}


def test_a_buffered_line_is_there_after_flush_and_after_close(tmp_path: Path) -> None:
    with loggers(tmp_path, LoggerConfig()) as made:
        made.logger.info("one")
        made.flush()
        assert messages(tmp_path) == {"blog-web.log": ["one"]}
        made.logger.info("two")
    assert messages(tmp_path) == {"blog-web.log": ["one", "two"]}


def test_the_message_log_reload_opens_the_files_again(tmp_path: Path) -> None:
    listeners: dict[str, Callable[[Any], Any]] = {}

    class Messenger:
        def on(self, action: str, handler: Callable[[Any], Any]) -> Callable[[], None]:
            listeners[action] = handler
            return listeners.clear

    with loggers(tmp_path) as made:
        made.listen(Messenger())
        made.logger.info("old")
        file = tmp_path / "logs/blog/blog-web.log"
        file.rename(tmp_path / "rotated")
        listeners["log-reload"](None)
        made.logger.info("new")
    assert "old" in (tmp_path / "rotated").read_text()
    assert messages(tmp_path)["blog-web.log"] == ["new"]
    assert not listeners


def test_a_reload_that_fails_for_one_file_says_so_and_opens_the_others(tmp_path: Path) -> None:
    with loggers(tmp_path) as made:
        for name in ("blog-web.log", "common-error.log", "tamago-web.log"):
            (tmp_path / "logs/blog" / name).rename(tmp_path / name)
        (tmp_path / "logs/blog/common-error.log").symlink_to("/etc/passwd")
        made.reopen()
        made.logger.info("new")
        (tmp_path / "logs/blog/common-error.log").unlink()
    written = messages(tmp_path)
    assert written["blog-web.log"] == ["new"]
    assert "still writing to the old log file: cannot write the log file" in written["tamago-web.log"][0]


def test_everything_is_as_before_at_the_end(tmp_path: Path) -> None:
    def found() -> tuple[list[logging.Handler], list[int]]:
        return list(logging.getLogger().handlers), [logging.getLogger(name).level for name in ("", "app", "tamago", "audit")]

    logging.getLogger("audit").setLevel(33)
    before = found()
    with loggers(tmp_path, custom={"audit": CustomLogger()}):
        assert found()[0] != before[0]
        assert found()[1][-1] == logging.INFO
    assert found() == before
    logging.getLogger("audit").setLevel(logging.NOTSET)


def test_files_that_cannot_be_opened_leave_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "logs/blog").mkdir(parents=True)
    (tmp_path / "logs/blog/tamago-web.log").mkdir()
    before = list(logging.getLogger().handlers)
    with pytest.raises(LogFileError, match=r"tamago-web\.log"), loggers(tmp_path):
        pass
    assert logging.getLogger().handlers == before


# ── the console ─────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def no_console() -> Iterator[None]:
    root = logging.getLogger()
    found = console_handlers()
    for handler in found:
        root.removeHandler(handler)
    yield
    for handler in found:
        root.addHandler(handler)


@pytest.fixture
def console(no_console: None) -> Iterator[list[str]]:
    """The cluster's handler on stderr, with its lines in a list."""
    lines: list[str] = []

    class Listed(SteadyHandler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(self.format(record))

    handler = Listed()
    logging.getLogger().addHandler(handler)
    yield lines
    logging.getLogger().removeHandler(handler)
    handler.close()


def test_a_line_is_once_on_the_console_of_a_cluster(tmp_path: Path, console: list[str]) -> None:
    with loggers(tmp_path) as made:
        made.logger.error("once")
    assert console == ["once"]


def test_the_clusters_lines_tell_the_request_too_and_are_as_before_at_the_end(tmp_path: Path, console: list[str]) -> None:
    (handler,) = console_handlers()
    handler.setFormatter(before := LineFormatter("worker 1 gen=1 pid=7"))
    with loggers(tmp_path, env="prod") as made:
        made.logger.error("outside")
        token = running.set(SimpleNamespace(method="GET", url="/a%0a\n", ip="::1", elapsed=0.0, request_id="r1"))
        made.logger.error("inside %d", 7)
        running.reset(token)
    assert [line.partition("] ")[2] for line in console] == ["app: outside", "app: [-/::1/r1/0ms GET /a%0a\\n  ] inside 7"]
    assert handler.formatter is before


def test_where_nobody_writes_to_the_console_it_is_written_to(tmp_path: Path, no_console: None, capfd: pytest.CaptureFixture[str]) -> None:
    with loggers(tmp_path) as made:
        made.logger.warning("seen")
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} WARNING \d+ seen\n", capfd.readouterr().err)
    assert console_handlers() == []


def test_a_handler_of_the_users_own_is_enough(tmp_path: Path, no_console: None, capfd: pytest.CaptureFixture[str]) -> None:
    own = logging.StreamHandler(sys.stderr)
    logging.getLogger().addHandler(own)
    try:
        with loggers(tmp_path) as made:
            made.logger.warning("seen")
    finally:
        logging.getLogger().removeHandler(own)
    assert capfd.readouterr().err == "seen\n"


def test_the_console_has_its_own_level_and_the_schedules_are_not_on_it(tmp_path: Path, console: list[str]) -> None:
    with loggers(tmp_path, LoggerConfig(buffer=False, console_level=Level.WARNING)) as made:
        made.logger.info("file only")
        made.logger.warning("both")
        made.schedule_logger.error("file only")
        logging.getLogger("tamago.server").warning("of the process")
    assert console == ["both", "of the process"]


def test_what_only_the_console_is_to_show_is_shown(tmp_path: Path, console: list[str]) -> None:
    with loggers(tmp_path, LoggerConfig(buffer=False, level=Level.WARNING, console_level=Level.DEBUG)) as made:
        made.logger.debug("console only")
    assert console == ["console only"]
    assert messages(tmp_path) == {}


def test_once_ready_in_prod_the_console_says_where_to_look_and_has_errors_only(tmp_path: Path, console: list[str]) -> None:
    with loggers(tmp_path, env="prod") as made:
        made.logger.info("booting")
        made.ready()
        made.ready()
        made.logger.warning("file only")
        made.logger.error("both")
        logging.getLogger("tamago.server").warning("of the process")
    place = tmp_path / "logs/blog/blog-web.log"
    assert console == [
        "booting",
        f"what the application logs goes to {place} and beside it; the console gets its errors only",
        "both",
        "of the process",
    ]


def test_while_developing_the_console_stays_and_is_easy_to_read(tmp_path: Path, console: list[str]) -> None:
    with loggers(tmp_path, env="local") as made:
        made.ready()
        token = running.set(SimpleNamespace(method="GET", url="/a", elapsed=0.0))
        logging.getLogger("app.service.user").warning("hello\x1b[2J")
        running.reset(token)
        made.logger.error("failed", exc_info=ValueError("why"))
    assert console.pop().endswith(" ERROR worker 1  failed\n  ValueError: why")
    assert [line.split(" ", 1)[1] for line in console] == ["WARN  worker 1  GET /a 0ms  [service.user] hello\\x1b[2J"]
