"""A reader takes what it can read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.unit.cluster.traced_world import Traced

from tamago.cluster.trace_lines import TraceUnreadableError, load, one_line, typed


def test_a_torn_last_line_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "trace.jsonl"
    whole = Traced(path).started().records()
    content = path.read_bytes()
    path.write_bytes(content[:-10])
    assert load(path) == whole[:-1]


@pytest.mark.parametrize("foreign", [b"", b"\xff\xfe", b"[1, 2]", b"null", b'{"n":', b"[" * 100_000])
def test_a_foreign_line_hides_no_other(tmp_path: Path, foreign: bytes) -> None:
    path = tmp_path / "trace.jsonl"
    path.write_bytes(b'{"n":1}\n' + foreign + b'\n{"n":2}\n')
    assert load(path) == [{"n": 1}, {"n": 2}]


def test_no_file_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(TraceUnreadableError, match=r"cannot read the trace .*no such file") as caught:
        load(tmp_path / "trace.jsonl")
    assert caught.value.hint


HEAD: dict[str, Any] = {"n": 1, "t": 2.0, "kind": "event", "type": "Thing"}


@pytest.mark.parametrize("record", [{}, {"n": 1}, HEAD | {"t": "soon"}, HEAD | {"n": None}, HEAD | {"kind": 1}, HEAD | {"name": []}])
def test_what_is_no_line_of_a_trace_is_left_out(record: dict[str, Any]) -> None:
    assert typed([record]) == []


@pytest.mark.parametrize("fact", [{"phases": "no"}, {"phases": [["boot", None]]}, {"seconds": "long"}, {"failure": 3}, {"status": 1.5}])
def test_a_fact_that_cannot_be_read_does_not_cost_the_line(fact: dict[str, Any]) -> None:
    (line,) = typed([HEAD | fact | {"process": 4}])
    assert (line.type, line.process) == ("Thing", 4)


def test_what_a_newer_version_adds_is_no_obstacle() -> None:
    assert typed([json.loads(json.dumps(HEAD | {"colour": "red"}))])


def test_text_of_an_application_does_nothing_to_a_terminal() -> None:
    assert one_line("a\x1b[31mred\n\tb\u202e") == "a?[31mred b?"
    assert one_line("x" * 300) == "x" * 199 + "…"
