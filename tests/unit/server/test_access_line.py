"""Lines of the access log: what is in them, and that nobody can forge one."""

from __future__ import annotations

import json
import os
import re
import time
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, strategies as st

from tamago.access_format import COMBINED, JSON_FIELDS, LONGEST, MOST, PLACEHOLDERS, problem
from tamago.server.access_line import LONGEST_LINE, json_string, make_line, quoted

BYTES = st.binary(max_size=9000) | st.binary(max_size=40) | st.text(max_size=3000).map(lambda text: text.encode("utf-8", "replace"))


def exchange(**changes: Any) -> Any:
    made = {
        "connection": SimpleNamespace(client=("192.0.2.7", 1234), scheme="http"),
        "fields": [(b"host", b"shop"), (b"user-agent", b"curl/8"), (b"referer", b"http://shop/")],
        "method": "GET",
        "target": b"/a?b=1",
        "version": "1.1",
        "status": 200,
        "done": True,
        "request_id": "abc",
        "body_sent": 5,
        "began": 10.0,
        "answered": 10.25,
        "ended": 10.5,
        "log": SimpleNamespace(epoch=1_795_000_000.0),
    }
    return SimpleNamespace(**made | changes)


def text(form: str, **changes: Any) -> str:
    return make_line(form, slot=3)(exchange(**changes)).decode()


def test_the_combined_format_is_what_log_readers_know() -> None:
    pattern = r'192\.0\.2\.7 - - \[\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\] "GET /a\?b=1 HTTP/1\.1" 200 5 "http://shop/" "curl/8"\n'
    assert re.fullmatch(pattern, text("combined"))
    assert text(COMBINED) == text("combined")
    assert re.fullmatch(r'192\.0\.2\.7 - - \[[^]]+\] "GET /a\?b=1 HTTP/1\.1" 200 5\n', text("common"))


def test_a_date_is_in_english_whatever_language_the_application_has_set(monkeypatch: pytest.MonkeyPatch) -> None:
    real = time.strftime
    monkeypatch.setattr(time, "strftime", lambda form, when: real(form.replace("%b", "Mär"), when))  # a German C library in March
    march = SimpleNamespace(epoch=1_773_500_000.0)
    assert "/Mar/2026:" in text("common", log=march)


def test_json_has_numbers_as_numbers_and_what_is_missing_as_null() -> None:
    line = json.loads(text("json", fields=[]))
    assert list(line) == [name.removesuffix("_iso") for name in JSON_FIELDS]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d", line.pop("time"))
    assert line == {
        "client": "192.0.2.7", "method": "GET", "target": "/a?b=1", "protocol": "HTTP/1.1", "status": 200, "bytes": 5, "seconds": 0.5,
        "first_byte": 0.25, "completion": "complete", "referer": None, "user_agent": None, "request_id": "abc", "worker": 3,
        "pid": os.getpid(),
    }  # fmt: skip


@pytest.mark.parametrize("name", PLACEHOLDERS)
def test_every_placeholder_has_a_value(name: str) -> None:
    assert text(f"<{{{name}}}>") not in {"<>\n", f"<{{{name}}}>\n"}


def test_a_format_of_ones_own_keeps_its_text() -> None:
    assert text("100% {{{worker}}} é {header:Host} {header:x-none}") == "100% {3} é shop -\n"


def test_a_client_that_left_without_an_answer_is_499_and_cut() -> None:
    assert text("{status} {completion} {first_byte}", status=0, done=False, answered=0.0) == "499 cut 0.500000\n"


def test_a_unix_socket_has_no_client() -> None:
    nobody = SimpleNamespace(client=None, scheme="http")
    assert text("{client} {peer}", connection=nobody) == "- -\n"
    assert json.loads(text("json", connection=nobody))["client"] is None


def test_the_client_is_whom_a_trusted_proxy_names_and_the_peer_is_the_proxy() -> None:
    fields = [(b"x-forwarded-for", b"198.51.100.1, 203.0.113.9")]
    trusting = make_line('"{client}" {peer}', slot=1, trusted_proxies=["192.0.2.0/24"])
    assert trusting(exchange(fields=fields)) == b'"203.0.113.9" 192.0.2.7\n'
    forged = [(b"x-forwarded-for", b'203.0.113."\n9')]
    assert trusting(exchange(fields=forged)) == b'"192.0.2.7" 192.0.2.7\n', "no address, so nobody's word"
    assert make_line("{client}", slot=1)(exchange(fields=fields)) == b"192.0.2.7\n"


def test_what_could_forge_a_line_is_escaped() -> None:
    evil = b'x" 200\r\n127.0.0.1 - - "GET / \x1b[31m\\ \x7f\xc3\xa9'
    assert quoted(evil, 1000) == r"x\x22 200\x0D\x0A127.0.0.1 - - \x22GET / \x1B[31m\x5C \x7F\xC3\xA9"
    assert json.loads(json_string(evil + b"\xff", 1000)) == evil.decode() + r"\xff"


def test_a_long_value_is_cut_and_says_so() -> None:
    assert quoted(b"a" * 100, 100) == "a" * 100
    assert quoted(b"a" * 101, 100) == "a" * 95 + "..."
    assert json.loads(json_string(b"a" * 99, 100)) == "a" * 95 + "..."
    assert json.loads(json_string(b"a" * 98, 100)) == "a" * 98


@given(BYTES, st.integers(64, 2000))
def test_a_quoted_value_is_printable_ascii_within_its_limit(raw: bytes, limit: int) -> None:
    value = quoted(raw, limit)
    assert re.fullmatch(r"[ !#-~]+", value)
    assert len(value) <= limit


@given(BYTES, st.integers(64, 2000))
def test_a_json_string_is_one_within_its_limit(raw: bytes, limit: int) -> None:
    value = json_string(raw, limit)
    assert value.isascii()
    assert "\n" not in value
    assert len(value) <= limit
    assert isinstance(json.loads(value), str) or not raw


@given(target=BYTES, agent=BYTES, referer=BYTES, form=st.sampled_from(["common", "combined", "json", '"{header:user-agent}" ' * MOST]))
def test_a_line_is_one_line_that_fits_into_a_pipe(target: bytes, agent: bytes, referer: bytes, form: str) -> None:
    line = make_line(form, slot=1)(exchange(target=target, fields=[(b"user-agent", agent), (b"referer", referer)]))
    assert line.isascii()
    assert line.index(b"\n") == len(line) - 1
    assert len(line) <= LONGEST_LINE
    if form == "json":
        json.loads(line)


def test_even_the_longest_format_leaves_room_for_its_values() -> None:
    form = "{header:user-agent}" + "{header:a}" * (MOST - 1)
    form += "é" * ((LONGEST - len(form)) // 2)
    assert problem(form) is None
    line = make_line(form, slot=1)(exchange(fields=[(b"user-agent", b"\0" * 500), (b"a", b"\0" * 5000)]))
    assert len(line) <= LONGEST_LINE
    assert line.count(b"...") == MOST
