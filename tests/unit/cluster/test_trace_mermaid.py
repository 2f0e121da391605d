"""The sequence diagram has an arrow for what was said, no more and no less, and nothing in it breaks Mermaid."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.properties.nature import BootFate, ForkFate, Kind
from tests.unit.cluster.traced_world import Traced

from tamago.cluster.events import (
    KickRequested,
    ProcessHung,
    ProcessMisbehaved,
    RecycleDue,
    ReloadRequested,
    StartMode,
    StopRequested,
)
from tamago.cluster.trace_mermaid import MOST_STEPS
from tamago.cluster.trace_view import Record, mermaid
from tamago.types import Role

Trace = Callable[..., Traced]
STATEMENT = re.compile(r"    (participant \w+ as [\w ()]+|Note over \w+: \S.*|\w+(->>|-->>|--x)\w+: \S.*)")


@pytest.fixture
def traced(tmp_path: Path) -> Trace:
    return lambda **options: Traced(tmp_path / "trace.jsonl", **options)


def statements(diagram: str) -> list[str]:
    """Return the statements after the participants, having checked all of them."""
    first, *rest = diagram.splitlines()
    assert first == "sequenceDiagram"
    for line in rest:
        assert STATEMENT.fullmatch(line), line
    named = {line.split()[1] for line in rest if line.startswith("    participant ")}
    for line in rest:
        if not line.startswith("    participant "):
            used = line.split(":")[0].removeprefix("    Note over ").strip()
            assert set(re.split(r"->>|-->>|--x", used)) <= named, line
    return [line.strip() for line in rest if not line.startswith("    participant ")]


def test_a_start_is_the_conversation_it_was(traced: Trace) -> None:
    diagram = mermaid(traced(workers=1).started().records())
    assert diagram.splitlines()[1:7] == [
        "    participant launcher as launcher",
        "    participant master as master",
        "    participant p1 as nest gen 1",
        "    participant p2 as agent gen 1",
        "    participant p3 as worker 1 gen 1",
        "    launcher->>master: start",
    ]
    assert statements(diagram) == [
        "launcher->>master: start",
        "Note over master: started",
        "Note over master: bound: http://127.0.0.1:8000",
        "Note over master: StartRequested",
        "Note over master: SetSlots 1",
        "master->>p1: StartNest",
        "Note over p1: ProcessForked: pid 100",
        "p1-->>master: hello",
        "Note over p1: imported in 70 ms",
        "p1-->>master: NestImported: fork",
        "master->>p1: Fork agent",
        "p1-->>master: ProcessForked agent: pid 101",
        "p2-->>master: hello",
        "Note over p2: boot 60 ms, listen 2.0 ms",
        "p2-->>master: ProcessBooted",
        "Note over master: Activate agent",
        "master->>p1: Fork worker 1",
        "p1-->>master: ProcessForked worker 1: pid 102",
        "p3-->>master: hello",
        "Note over p3: boot 60 ms, listen 2.0 ms",
        "p3-->>master: ProcessBooted",
        "Note over master: Activate worker 1",
        "Note over master: READY",
    ]


def test_a_spawned_process_is_started_by_the_master(traced: Trace) -> None:
    drawn = statements(mermaid(traced(workers=1, nature=Kind(start_mode=StartMode.SPAWN)).started().records()))
    assert "master->>p3: Fork by spawn" in drawn
    assert "Note over p3: ProcessForked: pid 102" in drawn


def test_a_failed_start_ends_with_the_failure_told_to_the_launcher(traced: Trace) -> None:
    nature = Kind()
    nature.boots.extend([(BootFate.BOOTS, 0.1), (BootFate.FAILS, 0.1)])
    drawn = statements(mermaid(traced(nature=nature).started().until(lambda: False).records()))
    assert "p2-->>master: ProcessFailed: ImportError: no module named shop" in drawn
    assert "p2--xmaster: ProcessExited: exit code 1" in drawn
    assert drawn[-1] == "master->>launcher: Exit: code 1: ImportError: no module named shop"


def test_a_fork_that_failed_is_told_by_the_nest(traced: Trace) -> None:
    nature = Kind()
    nature.forks.extend([ForkFate.FORKS, ForkFate.FAILS])
    drawn = statements(mermaid(traced(nature=nature).started().until(lambda: False).records()))
    assert "p1-->>master: ForkFailed agent: Resource temporarily unavailable" in drawn


def test_the_whole_life_of_a_cluster_can_be_drawn(traced: Trace) -> None:
    cluster = traced(nature=Kind(lost_channels=True)).started()
    world = cluster.world
    worker, other = (child.peer for child in world.alive() if child.role is Role.WORKER)
    world.tell(ProcessHung(process=worker, seconds=31.0))
    world.run(60)
    world.tell(ProcessMisbehaved(process=other, reason="sent garbage"))
    world.run(60)
    agent = next(child for child in world.alive() if child.role is Role.AGENT)
    world.tell(RecycleDue(process=agent.peer, reason="lived 60 s"))
    world.run(60)
    cluster.asked(KickRequested(slot=1)).asked(KickRequested(slot=9)).asked(ReloadRequested())
    cluster.asked(StopRequested(cause="SIGTERM")).until(lambda: False)
    drawn = statements(mermaid(cluster.records(), all=True))
    for expected in (
        f"Note over p{worker}: ProcessHung: event loop blocked for 31 s",
        f"master->>p{worker}: DumpStacks",
        f"master->>p{worker}: Kill",
        f"p{worker}--xmaster: ChannelLost",
        f"p{other}-->>master: ProcessMisbehaved: sent garbage",
        f"Note over p{agent.peer}: RecycleDue: lived 60 s",
        "caller->>master: ReloadRequested",
        "master->>caller: Answer: there is no slot 9",
        "caller->>master: StopRequested: SIGTERM",
        "Note over master: TimePassed",
        "Note over master: RELOADING",
        "Note over master: CloseListeners",
    ):
        assert expected in drawn
    assert drawn[-1] == "master->>launcher: Exit: code 0"
    assert len(statements(mermaid(cluster.records(), generation=2))) < len(drawn)


def test_many_workers_are_drawn_as_one(traced: Trace) -> None:
    diagram = mermaid(traced(workers=200).started().records())
    drawn = statements(diagram)
    assert "    participant others as others (190)" in diagram
    assert "master->>p1: Fork (190 times)" in drawn
    assert "others-->>master: ProcessBooted (190 times)" in drawn
    assert len(drawn) < 120


def test_a_long_trace_is_drawn_with_its_beginning_and_its_end(traced: Trace) -> None:
    cluster = traced().started()
    for _ in range(20):
        cluster.asked(ReloadRequested())
    cluster.asked(StopRequested()).until(lambda: False)
    drawn = statements(mermaid(cluster.records(), all=True))
    assert len(drawn) == MOST_STEPS + 1
    assert re.fullmatch(r"Note over master: \d+ steps are left out", drawn[MOST_STEPS // 2])
    assert (drawn[0], drawn[-1]) == ("launcher->>master: start", "master->>launcher: Exit: code 0")


def test_what_was_dropped_is_a_remark(traced: Trace) -> None:
    cluster = traced(limit=32 * 1024).started()
    for _ in range(10):
        cluster.asked(ReloadRequested())
    drawn = statements(mermaid(cluster.records(), all=True))
    assert any(re.search(r"lines \d+ to \d+ are missing: the file is full", line) for line in drawn)


HOSTILE = ["", "a;b", "#35; # ;;", "%%{init: {}}%%", "<script>", "end", "two\nlines", "\x1b[2J\u2028x", "x" * 500, ": :"]
HEAD: Record = {"t": 1.0, "wall": 1.0}


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_breaks_out_of_its_statement(text: str) -> None:
    def line(n: int, kind: str, type_: str, **facts: Any) -> Record:
        return HEAD | {"n": n, "kind": kind, "type": type_} | facts

    failure = {"problem": text, "hint": text, "detail": text}
    records = [
        line(1, "command", "StartNest", cause=0, process=1, name="nest", generation=1),
        line(2, "event", "ProcessFailed", process=1, failure=failure),
        line(3, "command", "Report", cause=2, level="error", text=text),
        line(4, "note", "signal", signal=text),
        line(5, "note", "booted", process=1, phases=[[text, 0.1]]),
        line(6, "event", "StopRequested", reason=text),
    ]
    drawn = statements(mermaid(records))
    assert len(drawn) == 6
    for each in drawn:
        assert not re.search(r"[<>%#;]", re.sub(r"#(35|37|59|lt|gt);|-?->>", "", each)), each


def test_the_steps_of_a_process_are_no_part_of_the_conversation(traced: Trace, tmp_path: Path) -> None:
    steps = {Role.AGENT: [("Load Config", 0.06, 0.002, 0.002)]}
    told = Traced(tmp_path / "steps.jsonl", steps=steps).started()
    assert any(record["type"] == "timed" for record in told.records())
    assert mermaid(told.records()) == mermaid(traced().started().records())
