"""`tamago trace` shows what a master recorded, and says so when there is nothing."""

from __future__ import annotations

import json

import pytest
from tests.unit.cli.command import Tamago

pytestmark = pytest.mark.slow
LINES = [
    {"n": 1, "t": 1.0, "wall": 1.0, "at": 0.0, "kind": "note", "type": "launched"},
    {"n": 2, "t": 1.5, "wall": 1.5, "at": 0.5, "kind": "event", "type": "StartRequested"},
]


def test_without_a_trace_it_says_so_in_two_lines(tamago: Tamago) -> None:
    result = tamago.run("trace")
    assert (result.returncode, result.stdout) == (1, "")
    assert len(result.stderr.splitlines()) == 2


@pytest.mark.parametrize("form", ["timeline", "json", "mermaid"])
def test_a_trace_is_shown_in_each_form_also_of_a_cluster_that_ended(tamago: Tamago, form: str) -> None:
    run = tamago.home / "run" / "app"
    run.mkdir(parents=True)
    (run / "trace.jsonl").write_text("".join(json.dumps(line) + "\n" for line in LINES))
    for directory in (tamago.home, tamago.home / "run", run):
        directory.chmod(0o700)
    result = tamago.run("trace", "--format", form)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.strip()
