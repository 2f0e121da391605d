"""The trace has every line, in order, and never costs its master anything but the line."""

from __future__ import annotations

import json
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given, strategies as st
from tests.unit.cluster.traced_world import Traced, open_file

from tamago.cluster import events
from tamago.cluster.events import (
    Command,
    EnterState,
    Event,
    Exit,
    Failure,
    Fork,
    ForkFailed,
    NestImported,
    ProcessExited,
    ProcessFailed,
    ProcessForked,
    ReloadRequested,
    Report,
    StartMode,
    StartNest,
    StartRequested,
    StopRequested,
    TimePassed,
)
from tamago.cluster.states import ClusterState
from tamago.cluster.trace import LONGEST_LINE, LONGEST_TEXT, Trace
from tamago.types import Role

FORK = Fork(process=3, role=Role.WORKER, slot=2, generation=1, nest=1, mode=StartMode.FORK)


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def record(trace: Trace, event: Event, *commands: Command) -> None:
    trace.record(event, commands, now=1.0, wall=2.0)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "trace.jsonl"


@contextmanager
def file_size_limited(size: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


# ── what is in a line ────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_line_has_both_times_and_the_process_and_a_command_has_the_number_of_its_cause(path: Path) -> None:
    trace = Trace(open_file(path))
    trace.record(NestImported(process=1, mode=StartMode.FORK), [FORK], now=10.5, wall=1000.25, began=10.0)
    trace.record(ProcessForked(process=3, pid=4711), [], now=10.75, wall=1000.5)
    times = {"t": 10.5, "wall": 1000.25, "at": 0.5}
    assert lines(path) == [
        {"n": 1, **times, "kind": "event", "type": "NestImported", "process": 1, "mode": "fork"},
        {
            "n": 2,
            **times,
            "kind": "command",
            "type": "Fork",
            "cause": 1,
            "process": 3,
            "name": "worker 2",
            "generation": 1,
            "role": "worker",
            "slot": 2,
            "nest": 1,
            "mode": "fork",
        },
        {
            "n": 3,
            "t": 10.75,
            "wall": 1000.5,
            "at": 0.75,
            "kind": "event",
            "type": "ProcessForked",
            "process": 3,
            "name": "worker 2",
            "generation": 1,
            "pid": 4711,
        },
    ]


def test_a_note_names_its_process_as_events_do(path: Path) -> None:
    trace = Trace(open_file(path))
    trace.meet(0, role=Role.MASTER, pid=99)
    trace.note("launched", now=3.0, wall=4.0)
    trace.note("bound", now=3.5, wall=4.5, peer=0, addresses=["http://127.0.0.1:80"])
    assert lines(path) == [
        {"n": 1, "t": 3.0, "wall": 4.0, "at": 0.0, "kind": "note", "type": "launched"},
        {
            "n": 2,
            "t": 3.5,
            "wall": 4.5,
            "at": 0.5,
            "kind": "note",
            "type": "bound",
            "process": 0,
            "name": "master",
            "pid": 99,
            "addresses": ["http://127.0.0.1:80"],
        },
    ]


def test_meeting_again_keeps_what_is_not_said() -> None:
    trace = Trace(None)
    trace.meet(5, role=Role.WORKER, slot=3, generation=2)
    trace.meet(5, role=Role.WORKER, slot=3, pid=77)
    trace.note("hello", now=0.0, wall=0.0, peer=5)
    (line,) = trace.tail(1)
    assert (line["name"], line["generation"], line["pid"]) == ("worker 3", 2, 77)


def test_the_text_with_which_a_stop_was_asked_for_is_its_reason() -> None:
    trace = Trace(None)
    record(trace, StopRequested(cause="SIGTERM"), EnterState(state=ClusterState.STOPPING))
    asked, entered = trace.tail(2)
    assert (asked["reason"], "cause" in asked) == ("SIGTERM", False)
    assert (entered["cause"], entered["state"]) == (1, "stopping")


def test_of_a_traceback_the_end_is_kept_and_of_a_sentence_the_beginning() -> None:
    trace = Trace(None)
    record(trace, ProcessFailed(process=1, failure=Failure(problem="p" + "x" * 5000, detail="x" * 5000 + "ValueError")))
    failure = trace.tail(1)[0]["failure"]
    assert failure["detail"].endswith("xValueError")
    assert failure["problem"].startswith("pxx")
    assert len(failure["detail"]) == len(failure["problem"]) == LONGEST_TEXT


def test_facts_can_be_anything_and_hide_nothing(path: Path) -> None:
    trace = Trace(open_file(path))
    loop: list[Any] = []
    loop.append(loop)
    trace.note("odd", now=1.0, wall=2.0, surrogate="a\udcff", things={"x": object}, path=Path("/srv"), both=["\udcff", 1, None])
    trace.note("mine", now=1.0, wall=2.0, n=99, t="never", type="no")
    trace.note("bad", now=1.0, wall=2.0, key={object(): 1})
    trace.note("huge", now=1.0, wall=2.0, values=list(range(10_000)), count=5)
    odd, mine, bad, huge = lines(path)
    assert (odd["surrogate"], odd["path"], odd["both"]) == ("a\\udcff", "/srv", ["\\udcff", 1, None])
    assert (mine["n"], mine["t"], mine["type"]) == (2, 1.0, "mine")
    assert (bad["n"], bad["type"]) == (3, "bad")
    assert (huge["type"], huge["count"]) == ("huge", 5)
    assert "values" not in huge
    assert max(map(len, path.read_bytes().splitlines())) <= LONGEST_LINE


VALUES: dict[str, Any] = {
    "int": 7,
    "float": 1.5,
    "float | None": 1.5,
    "str": "text",
    "bool": True,
    "StartMode": StartMode.SPAWN,
    "Role": Role.AGENT,
    "ClusterState": ClusterState.READY,
    "Failure": Failure(problem="p", hint="h", detail="d"),
    "Failure | None": Failure(problem="p"),
}


@pytest.mark.parametrize("family", [*get_args(Event), *get_args(Command)], ids=lambda family: family.__name__)
def test_every_event_and_command_has_all_its_fields_in_its_line(family: type) -> None:
    trace = Trace(None)
    anything: Any = family
    what = anything(**{each.name: VALUES[str(each.type)] for each in fields(anything)})
    if family in get_args(Event):
        record(trace, what)
    else:
        record(trace, TimePassed(), what)
    (line,) = trace.tail(1)
    assert line["type"] == family.__name__
    wanted = {each.name for each in fields(anything)}
    if family is events.StopRequested:
        wanted = wanted - {"cause"} | {"reason"}
    assert wanted <= set(line)


# ── names ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_who_died_a_moment_ago_still_has_a_name_and_who_died_long_ago_costs_nothing() -> None:
    trace = Trace(None)
    for peer in range(2, 1002):
        fork = Fork(process=peer, role=Role.WORKER, slot=1, generation=1, nest=1, mode=StartMode.FORK)
        record(trace, ProcessExited(process=peer - 1, status=-9), fork)
    record(trace, ProcessExited(process=1001, status=-9))
    trace.note("late", now=1.0, wall=1.0, peer=1001)
    assert trace.tail(1)[0]["name"] == "worker 1"
    assert len(trace._names) < 100


def test_a_fork_that_is_tried_again_keeps_its_name() -> None:
    trace = Trace(None)
    record(trace, StartRequested(), StartNest(process=1, generation=1), FORK)
    record(trace, ForkFailed(process=3, reason="no"), FORK)
    record(trace, ProcessForked(process=3, pid=9))
    failed, _, forked = trace.tail(3)
    assert failed["name"] == forked["name"] == "worker 2"


def test_of_the_traceback_for_which_nothing_was_forked_the_end_is_kept() -> None:
    trace = Trace(None)
    record(trace, ForkFailed(process=3, reason="before_fork failed", detail="x" * 5000 + "ValueError"))
    detail = trace.tail(1)[0]["detail"]
    assert detail.endswith("xValueError")
    assert len(detail) == LONGEST_TEXT


# ── what a full disk and a full file cost ────────────────────────────────────────────────────────────────────────────


def test_the_file_keeps_the_start_and_the_newest_lines_and_says_what_is_missing(path: Path) -> None:
    limit = 64 * 1024
    traced = Traced(path, limit=limit).started()
    ready = traced.records()
    biggest = 0
    for _ in range(40):
        traced.asked(ReloadRequested())
        biggest = max(biggest, path.stat().st_size)
    records = traced.records()
    assert records[: len(ready)] == ready
    gap = records[len(ready)]
    assert (gap["type"], gap["first"]) == ("gap", ready[-1]["n"] + 1)
    assert [line["n"] for line in records[len(ready) + 1 :]] == list(range(gap["last"] + 1, records[-1]["n"] + 1))
    assert limit // 2 < biggest <= limit
    assert traced.trace.dropped == 0


def test_a_start_that_is_longer_than_its_share_does_not_push_out_the_end(path: Path) -> None:
    traced = Traced(path, limit=16 * 1024, workers=100).started()
    records = traced.records()
    assert path.stat().st_size <= 16 * 1024
    assert records[0]["type"] == "launched"
    assert records[-1]["n"] == traced.trace.tail(1)[0]["n"]


def test_one_event_with_more_commands_than_fit_leaves_the_last_of_them(path: Path) -> None:
    trace = Trace(open_file(path), limit=8 * 1024)
    record(trace, StartRequested(), *[Report(level="info", text="x" * 500)] * 100, Exit(code=1, killed=0))
    assert path.stat().st_size <= 8 * 1024
    assert lines(path)[-1]["type"] == "Exit"


def test_a_full_disk_costs_lines_and_the_gap_shows_when_there_is_room_again(path: Path) -> None:
    fd = os.open("/dev/full", os.O_WRONLY)
    trace = Trace(fd)
    record(trace, StartRequested(), EnterState(state=ClusterState.READY))
    trace.note("signal", now=1.0, wall=1.0, signal="SIGHUP")
    assert trace.dropped == 3
    with open(path, "ab") as file:
        os.dup2(file.fileno(), fd)
    record(trace, TimePassed())
    gap, passed = lines(path)
    assert (gap["type"], gap["first"], gap["last"], gap["reason"]) == ("gap", 1, 3, "write failed")
    assert (passed["n"], passed["type"]) == (4, "TimePassed")
    trace.close()


def test_a_line_of_which_only_half_fits_spoils_no_other(path: Path) -> None:
    trace = Trace(open_file(path))
    record(trace, StartRequested())
    with file_size_limited(path.stat().st_size + 20):
        record(trace, TimePassed())
        record(trace, TimePassed())
    record(trace, TimePassed())
    whole = [json.loads(line) for line in path.read_bytes().splitlines() if line.endswith(b"}")]
    assert [(line["type"], line["n"]) for line in whole] == [("StartRequested", 1), ("gap", 3), ("TimePassed", 4)]
    assert trace.dropped == 2
    trace.close()


def test_a_descriptor_that_somebody_closed_costs_only_lines(path: Path) -> None:
    fd = open_file(path)
    trace = Trace(fd, limit=1000)
    os.close(fd)
    for _ in range(20):
        record(trace, TimePassed())
    trace.close()
    assert trace.dropped == 20


def test_a_pipe_nobody_reads_from_is_no_reason_to_fail() -> None:
    read, write = os.pipe()
    os.close(read)
    trace = Trace(write)
    record(trace, TimePassed())
    assert trace.dropped == 1
    trace.close()


def test_without_a_file_the_newest_lines_are_remembered() -> None:
    trace = Trace(None)
    record(trace, StartRequested())
    record(trace, TimePassed())
    assert [line["type"] for line in trace.tail(10)] == ["StartRequested", "TimePassed"]
    assert [line["type"] for line in trace.tail(1)] == ["TimePassed"]
    assert trace.tail(0) == []
    assert trace.dropped == 0


def test_a_new_file_goes_on_where_the_deleted_one_was(path: Path) -> None:
    trace = Trace(open_file(path))
    record(trace, StartRequested())
    path.unlink()
    trace.reopen(open_file(path))
    record(trace, TimePassed())
    assert [line["n"] for line in lines(path)] == [1, 2]
    trace.close()
    record(trace, TimePassed())
    assert [line["n"] for line in lines(path)] == [1, 2]
    assert trace.tail(1)[0]["n"] == 3


@given(sizes=st.lists(st.integers(0, 3000), max_size=80), ready_at=st.integers(0, 80))
def test_whatever_is_recorded_the_file_is_bounded_and_what_it_has_is_in_order(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], ready_at: int
) -> None:
    path = tmp_path_factory.mktemp("trace") / "trace.jsonl"
    trace = Trace(open_file(path), limit=20_000)
    for index, size in enumerate(sizes):
        ready = [EnterState(state=ClusterState.READY)] if index == ready_at else []
        record(trace, TimePassed(), Report(level="info", text="x" * size), *ready)
        assert path.stat().st_size <= 20_000
    trace.close()
    numbers = [line["n"] for line in lines(path) if line["type"] != "gap"]
    missing = [set(range(line["first"], line["last"] + 1)) for line in lines(path) if line["type"] == "gap"]
    assert numbers == sorted(set(numbers))
    assert set(numbers) | set().union(*missing) == set(range(1, trace._number + 1))
    assert not set(numbers) & set().union(*missing)
