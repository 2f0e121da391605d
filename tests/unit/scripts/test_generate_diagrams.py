"""The pages drawn from the code are up to date, and name every state, event and command."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest

from tamago.cluster.events import Command, Event
from tamago.cluster.states import ClusterState, ClusterStep, ProcessState, ProcessStep

ROOT = Path(__file__).resolve().parents[3]
STATES = (ROOT / "docs/reference/states.md").read_text(encoding="utf-8")
EVENTS = (ROOT / "docs/reference/events.md").read_text(encoding="utf-8")


def test_the_pages_are_what_the_code_says() -> None:
    script = ROOT / "scripts/generate_diagrams.py"
    result = subprocess.run([sys.executable, script, "--check"], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.parametrize("state", [*ProcessState, *ClusterState])
def test_every_state_is_drawn(state: ProcessState | ClusterState) -> None:
    assert f"--> {state.name}" in STATES


@pytest.mark.parametrize("step", [*ProcessStep, *ClusterStep])
def test_every_step_labels_an_arrow(step: ProcessStep | ClusterStep) -> None:
    labels = {label for line in STATES.splitlines() if "-->" in line and ": " in line for label in line.partition(": ")[2].split(", ")}
    assert step.value in labels


@pytest.mark.parametrize("kind", [*get_args(Event), *get_args(Command)])
def test_every_event_and_command_is_explained(kind: type) -> None:
    row = next(line for line in EVENTS.splitlines() if line.startswith(f"| `{kind.__name__}` |"))
    assert row.count("|") == 4
    assert kind.__doc__, f"{kind.__name__} needs a docstring"
    assert row.split("|")[3].strip()


@pytest.mark.parametrize(
    "name", ["agent-start", "agent-exit", "app-start", "app-exit", "reload-worker", "realport", "egg-ready", "egg-pids"]
)
def test_every_event_of_egg_has_a_counterpart(name: str) -> None:
    assert f"| `{name}` |" in EVENTS
