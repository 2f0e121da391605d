from __future__ import annotations

import json
import logging
import os
import re
from dataclasses import dataclass

import pytest
from hypothesis import given, strategies as st

from tamago.app.logging.lines import LONGEST, FileFormatter, JsonFormatter, shown, source_of


@dataclass
class Context:
    method: str = "GET"
    url: str = "/?a=1"
    ip: str = "127.0.0.1"
    elapsed: float = 0.0
    request_id: str = ""
    user_id: str = ""


def record(message: str, *args: object, name: str = "app", level: int = logging.INFO, **extra: object) -> logging.LogRecord:
    made = logging.getLogger(name).makeRecord(name, level, "file.py", 1, message, args, None, extra=extra)
    made.created, made.msecs = 1_700_000_000.007, 7.0
    return made


def line(entry: logging.LogRecord, context: Context | None = None) -> str:
    return FileFormatter(lambda: context).format(entry)


def failed(message: str) -> logging.LogRecord:
    entry = record("it broke", level=logging.ERROR)
    with pytest.raises(ValueError) as caught:
        raise ValueError(message)
    entry.exc_info = (ValueError, caught.value, caught.tb)
    return entry


def test_a_line_without_a_request_is_eggs() -> None:
    assert re.fullmatch(rf"2023-11-1\d \d\d:\d\d:20,007 INFO {os.getpid()} hello world", line(record("hello %s", "world")))


def test_a_line_of_a_request_tells_user_address_trace_time_and_url() -> None:
    context = Context(elapsed=0.0073)
    written = line(record("warny", level=logging.WARNING, name="app.controller.home"), context)
    assert written.endswith(f" WARNING {os.getpid()} [-/127.0.0.1/-/7ms GET /?a=1] [controller.home] warny")
    known = Context(user_id="7", request_id="abc", elapsed=0.0073)
    assert "[7/127.0.0.1/abc/7ms GET /?a=1] hi" in line(record("hi"), known)


def test_the_context_a_line_was_logged_with_wins_over_the_current_one() -> None:
    assert "GET /mine" in line(record("hi", context=Context(url="/mine")), Context(url="/current"))


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("app", ""),
        ("app.service.user", "[service.user] "),
        ("tamago.app", ""),
        ("root", ""),
        ("sqlalchemy.pool", "[sqlalchemy.pool] "),
    ],
)
def test_a_logger_is_named_unless_it_is_the_files_own(name: str, source: str) -> None:
    assert source_of(name) == source


def test_a_message_cannot_forge_a_line() -> None:
    forged = "x\n2026-01-01 00:00:00,000 INFO 1 admin logged in\r2026"
    first, second = line(record("%s", forged)).split("\n")
    assert first.endswith(" x")
    assert second == "  2026-01-01 00:00:00,000 INFO 1 admin logged in\\r2026"


def test_a_url_cannot_forge_a_line() -> None:
    assert "\n" not in line(record("hi"), Context(url="/\n2026\x1b[31m"))


def test_a_terminal_is_not_steered() -> None:
    assert shown("\x1b[2J\x07\x9b\u2028 tab\t stays") == "\\x1b[2J\\x07\\x9b\\u2028 tab\t stays"


@given(st.text(st.characters() | st.sampled_from("\n\r\x1b\x00\x85\u2028\u2029\x0b\x0c 2")))
def test_whatever_a_text_has_in_it_there_is_one_line_of_its_own(text: str) -> None:
    first, *rest = shown(text).splitlines() or [""]
    assert all(line.startswith("  ") for line in rest)
    assert not any(character < " " and character != "\t" for line in (first, *rest) for character in line)


def test_a_traceback_stands_indented_below_and_the_message_of_the_error_too() -> None:
    first, *rest = line(failed("two\nlines")).split("\n")
    assert first.endswith("it broke")
    assert rest[0] == "  Traceback (most recent call last):"
    assert rest[-2:] == ["  ValueError: two", "  lines"]


def test_a_long_message_is_cut_and_says_so() -> None:
    assert line(record("x" * (LONGEST + 5))).endswith("xx… (5 more characters)")


def test_a_wrong_log_call_is_reported_in_its_place() -> None:
    written = line(record("%d items", "many"))
    assert "file.py:1: bad log call: '%d items'" in written


def test_json_lines_say_the_same_and_what_was_given_as_extra() -> None:
    formatter = JsonFormatter(lambda: Context(elapsed=0.0073))
    entry = json.loads(formatter.format(record("paid %d", 7, name="app.service.order", order=7, when=object)))
    assert entry["message"] == "paid 7"
    assert (entry["level"], entry["logger"], entry["pid"], entry["order"]) == ("INFO", "app.service.order", os.getpid(), 7)
    assert (entry["use_ms"], entry["method"], entry["url"], entry["user_id"]) == (7, "GET", "/?a=1", "-")
    assert re.fullmatch(r"2023-11-1\dT\d\d:\d\d:20\.007[+-]\d\d:\d\d", entry["date"])
    assert entry["when"] == "<class 'object'>"


def test_extra_fields_do_not_replace_the_lines_own() -> None:
    assert json.loads(JsonFormatter(lambda: None).format(record("hi", level=logging.INFO, pid="forged")))["pid"] == os.getpid()


def test_json_lines_have_the_traceback_in_one_line() -> None:
    written = JsonFormatter(lambda: None).format(failed("why"))
    assert "\n" not in written
    assert json.loads(written)["traceback"].endswith("ValueError: why")


@pytest.mark.parametrize("extra", ["half \udc80", {(1, 2): 3}])
def test_what_json_cannot_say_is_said_as_text(extra: object) -> None:
    assert json.loads(JsonFormatter(lambda: None).format(record("hi", thing=extra)))["message"] == "hi"
