"""One call for each form a trace is shown in."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.properties.nature import BootFate, Kind
from tests.unit.cluster.traced_world import Traced

from tamago.cluster.trace_view import NoSuchGenerationError, as_json, mermaid, timeline
from tamago.types import Role


def test_the_json_has_the_figures_and_every_line(tmp_path: Path) -> None:
    records = Traced(tmp_path / "trace.jsonl", workers=1).started().records()
    told = json.loads(as_json(records))
    assert told["lines"] == records
    start = told["start"]
    assert (start["outcome"], start["seconds"], start["launch_seconds"], start["prepare_seconds"]) == ("ready", 0.533, 0.12, 0.08)
    assert start["processes"][-1] == {
        "name": "worker 1",
        "generation": 1,
        "pid": 102,
        "began": 0.422,
        "seconds": 0.111,
        "phases": [["fork", 0.011], ["hello", 0.0], ["start", 0.038], ["boot", 0.06], ["listen", 0.002]],
        "steps": [],
        "steps_left_out": 0,
        "problem": "",
    }


def test_the_json_has_each_step_beside_the_start_it_belongs_to(tmp_path: Path) -> None:
    steps = {Role.AGENT: [("Load Config", 0.06, 0.002, 0.001)]}
    start = json.loads(as_json(Traced(tmp_path / "trace.jsonl", steps=steps).started().records()))["start"]
    assert [process["steps"] for process in start["processes"] if process["name"] != "agent"] == [[], [], []]
    (agent,) = [process for process in start["processes"] if process["name"] == "agent"]
    assert agent["steps"] == [{"name": "Load Config", "began": 0.362, "seconds": 0.002, "own_seconds": 0.001}]
    assert agent["steps_left_out"] == 7


def test_the_json_of_a_failed_start_is_json_too(tmp_path: Path) -> None:
    nature = Kind()
    nature.boots.append((BootFate.DIES, 0.1))
    records = Traced(tmp_path / "trace.jsonl", nature=nature, notes=False).started().until(lambda: False).records()
    start = json.loads(as_json(records))["start"]
    assert (start["outcome"], start["launch_seconds"], start["processes"][0]["seconds"]) == ("failed", None, None)
    assert start["processes"][0]["problem"] == "exited with status 1"


def test_an_empty_trace_is_a_clear_error_in_every_form() -> None:
    for form in (timeline, mermaid, as_json):
        with pytest.raises(NoSuchGenerationError, match="no start of generation 1"):
            form([])
    assert mermaid([], all=True).startswith("sequenceDiagram\n")
