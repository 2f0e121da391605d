"""The start as text: who, when, and for how long, on lines that fit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.properties.nature import BootFate, Kind
from tests.unit.cluster.traced_world import Traced

from tamago.cluster.events import ReloadRequested, StartMode, StopRequested
from tamago.cluster.trace_view import timeline
from tamago.types import Role

Trace = Callable[..., Traced]

STEPS = {
    Role.NEST: [("Load Application", 0.07, 0.06, 0.001), ("Require(0) app.router", 0.05, 0.03, 0.03)],
    Role.WORKER: [("Load Config", 0.06, 0.002, 0.002), ("Did Load in app/boot.py:did_load", 0.04, 0.025, 0.025)],
}


@pytest.fixture
def traced(tmp_path: Path) -> Trace:
    return lambda **options: Traced(tmp_path / "trace.jsonl", **options)


def test_a_start_is_drawn_to_scale(traced: Trace) -> None:
    assert timeline(traced().started().records(), 100).splitlines() == [
        "start: ready after 533 ms, listening on http://127.0.0.1:8000",
        "",
        "launcher    ##########                                     launch 120",
        "master                #######                              prepare 80",
        "nest gen 1                   fiiiiiigg                     fork 11 import 70 gc 30 = 111",
        "agent                                 fsssbbbbbl           fork 11 start 38 boot 60 listen 2.0 = 111",
        "worker 1                                        fsssbbbbb  fork 11 start 38 boot 60 listen 2.0 = 111",
        "worker 2                                        fsssbbbbb  fork 11 start 38 boot 60 listen 2.0 = 111",
        "",
        "            0                                      533 ms",
        "",
        "milliseconds: f fork (until it exists); i import (the application); g gc (collect, freeze); s start",
        "  (interpreter and event loop); b boot (lifespan, start hooks); l listen (until it accepts)",
    ]


def test_who_failed_is_marked_and_says_why(traced: Trace) -> None:
    nature = Kind()
    nature.boots.extend([(BootFate.BOOTS, 0.1), (BootFate.BOOTS, 0.1), (BootFate.FAILS, 0.05)])
    text = timeline(traced(nature=nature).started().until(lambda: False).records(), 100)
    assert text.startswith("start: failed after 483 ms: ImportError: no module named shop\n")
    (row,) = [line for line in text.splitlines() if line.startswith("worker 1")]
    assert "bbb!" in row
    assert row.endswith("fork 11 boot 50 = 61 FAILED")
    assert text.endswith("failed: worker 1: ImportError: no module named shop\n")


def test_who_is_still_booting_is_drawn_up_to_now(traced: Trace) -> None:
    begun = traced()
    begun.world.start()
    begun.world.run(0.15)
    text = timeline(begun.records(), 100)
    assert text.startswith("start: not ready yet after")
    (row,) = [line for line in text.splitlines() if line.startswith("agent")]
    assert row.endswith("...")


def test_a_start_that_was_told_to_stop_says_so(traced: Trace) -> None:
    begun = traced()
    begun.world.start()
    begun.world.run(0.15)
    assert timeline(begun.asked(StopRequested()).until(lambda: False).records()).startswith("start: told to stop after 150 ms\n")


def test_a_reload_has_a_timeline_of_its_own(traced: Trace) -> None:
    records = traced().started().asked(ReloadRequested()).records()
    text = timeline(records, 80, generation=2)
    assert text.startswith("reload to generation 2: ready after 545 ms\n")
    assert "launcher" not in text


def test_a_reload_that_was_rolled_back_shows_both_generations(traced: Trace) -> None:
    nature = Kind()
    cluster = traced(nature=nature).started()
    # The agent and the first worker switch; the second fails, and the two are taken back.
    nature.boots.extend([(BootFate.BOOTS, 0.1)] * 3 + [(BootFate.FAILS, 0.1)])
    text = timeline(cluster.asked(ReloadRequested()).records(), 100, generation=2)
    assert text.startswith("reload to generation 2: rolled back after")
    assert "worker 1 gen 1 " in text
    assert "worker 2 gen 2 " in text


def test_the_threads_that_forbid_forking_are_named(traced: Trace) -> None:
    text = timeline(traced(nature=Kind(start_mode=StartMode.SPAWN)).started().records())
    assert text.endswith("started in spawn mode: the application starts threads when it is imported: metrics (Python)\n")


@pytest.mark.parametrize("width", [0, 40, 80, 200])
def test_lines_are_as_wide_as_asked_if_the_figures_fit(traced: Trace, width: int) -> None:
    lines = timeline(traced(notes=False).started().records(), width).splitlines()
    rows = lines[2 : lines.index("", 2)]
    assert max(map(len, rows)) <= max(width, 62)


def test_of_many_workers_only_the_slowest_have_a_line(traced: Trace) -> None:
    nature = Kind()
    boots = [(BootFate.BOOTS, 0.1)] * 2 + [(BootFate.BOOTS, 0.1 + (slot % 50) / 100) for slot in range(1, 101)]
    nature.boots.extend(boots)
    lines = timeline(traced(nature=nature, workers=100).started().records(), 120).splitlines()
    rows = [line for line in lines if line.startswith("worker ")]
    slots = [int(row.split()[1]) for row in rows]
    assert len(rows) == 20
    assert slots == sorted(slots)
    assert {slot % 50 for slot in slots} == set(range(40, 50))
    assert any(line.startswith("80 more workers") and "median" in line for line in lines)


def test_of_many_workers_who_failed_has_a_line(traced: Trace) -> None:
    nature = Kind()
    nature.boots.extend([(BootFate.BOOTS, 0.1)] * 90 + [(BootFate.FAILS, 0.1)])
    text = timeline(traced(nature=nature, workers=100).started().until(lambda: False).records())
    (row,) = [line for line in text.splitlines() if line.endswith("FAILED")]
    assert row.startswith("worker 89 ")


def test_a_start_that_took_no_time_at_all_is_drawn(traced: Trace) -> None:
    records = traced(notes=False).started().records()
    text = timeline([record | {"t": 5.0} for record in records], 80)
    assert text.startswith("start: ready after 0.0 ms\n")


def test_below_a_process_stand_its_slowest_steps(traced: Trace) -> None:
    lines = timeline(traced(steps=STEPS).started().records(), 100).splitlines()
    # Below the letters of the stretch it was in.
    assert lines[4:6] == [
        "nest gen 1                   fiiiiiigg                     fork 11 import 70 gc 30 = 111",
        "                                  ---                         30 Require(0) app.router",
    ]
    assert lines[7:9] == [
        "worker 1                                        fsssbbbbb  fork 11 start 38 boot 60 listen 2.0 = 111",
        "                                                      --      25 Did Load in app/boot.py:did_load",
    ]
    assert sum(line.lstrip().startswith("--") for line in lines) == 3
    assert lines[-1] == "- a step of 10 ms or more; --all shows every step"


def test_all_steps_are_shown_when_asked_for(traced: Trace) -> None:
    text = timeline(traced(steps=STEPS).started().records(), 100, all=True)
    assert text.count(" Load Application\n") == 1
    assert text.count("  2.0 Load Config\n") == 2
    assert text.count(" and 7 shorter ones\n") == 3
    assert "--all" not in text


def test_a_step_that_did_not_end_is_shown_however_short_it_was(traced: Trace) -> None:
    nature = Kind()
    nature.boots.extend([(BootFate.BOOTS, 0.1), (BootFate.BOOTS, 0.1), (BootFate.FAILS, 0.05)])
    steps = {Role.WORKER: [("Will Ready in app/boot.py:will_ready", 0.004, None, 0.004)]}
    text = timeline(traced(nature=nature, steps=steps).started().until(lambda: False).records(), 100)
    lines = text.splitlines()
    (failed,) = [index for index, line in enumerate(lines) if line.endswith("FAILED")]
    assert lines[failed + 1].split() == ["-", "4.0...", "Will", "Ready", "in", "app/boot.py:will_ready"]


def test_of_workers_that_do_the_same_the_slowest_shows_its_steps(traced: Trace) -> None:
    nature = Kind()
    nature.boots.extend([(BootFate.BOOTS, 0.1)] * 3 + [(BootFate.BOOTS, 0.2)] + [(BootFate.BOOTS, 0.1)] * 6)
    lines = timeline(traced(nature=nature, workers=8, steps=STEPS).started().records(), 100).splitlines()
    (shown,) = [index for index, line in enumerate(lines) if line.endswith("25 Did Load in app/boot.py:did_load")]
    assert lines[shown - 1].startswith("worker 2 ")


def test_the_name_of_a_step_does_nothing_to_a_terminal(traced: Trace) -> None:
    steps = {Role.WORKER: [("x" * 300 + "\x1b[2J:did_load", 0.04, 0.025, 0.025)]}
    text = timeline(traced(steps=steps).started().records(), 100)
    assert "x?[2J:did_load" in text
    assert "\x1b" not in text
    assert max(map(len, text.splitlines())) <= 120
