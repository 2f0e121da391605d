"""Each one's time adds up, however the start ends."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, strategies as st
from tests.properties.nature import BootFate, Faults, ForkFate, Kind, Rough
from tests.unit.cluster.traced_world import Traced

from tamago.cluster.events import ReloadRequested, ScaleRequested, StartMode, StopRequested
from tamago.cluster.trace_history import History, Life, NoSuchGenerationError, Outcome, generations, history
from tamago.cluster.trace_lines import typed

Trace = Callable[..., Traced]


@pytest.fixture
def traced(tmp_path: Path) -> Trace:
    return lambda **options: Traced(tmp_path / "trace.jsonl", **options)


def told(traced: Traced, generation: int = 1) -> History:
    return history(typed(traced.records()), generation)


def milliseconds(life: Life, end: float = 0.0) -> dict[str, int]:
    return {segment.name: round(segment.seconds * 1000) for segment in life.segments(end)}


def test_a_start_tells_who_took_how_long_for_what(traced: Trace) -> None:
    start = told(traced().started())
    assert start.launcher is not None
    assert start.master is not None
    assert (round(start.launcher.seconds, 3), round(start.master.seconds, 3)) == (0.12, 0.08)
    assert [life.name for life in start.lives] == ["nest", "agent", "worker 1", "worker 2"]
    nest, agent, worker, _ = start.lives
    assert milliseconds(nest) == {"fork": 11, "hello": 0, "import": 70, "gc": 30}
    assert milliseconds(agent) == milliseconds(worker) == {"fork": 11, "hello": 0, "start": 38, "boot": 60, "listen": 2}
    assert (start.outcome, round(start.seconds, 3)) == (Outcome.READY, 0.533)
    assert start.addresses == ["http://127.0.0.1:8000"]


def test_without_the_notes_of_the_master_the_events_still_tell_the_order(traced: Trace) -> None:
    start = told(traced(notes=False).started())
    assert start.launcher is None
    assert [milliseconds(life) for life in start.lives] == [{"fork": 11, "import": 100}] + [{"fork": 11, "boot": 100}] * 3


def test_a_start_that_fails_ends_when_it_is_given_up_and_says_who_failed(traced: Trace) -> None:
    boots = [(BootFate.BOOTS, 0.1), (BootFate.BOOTS, 0.1), (BootFate.FAILS, 0.05)]
    nature = Kind()
    nature.boots.extend(boots)
    start = told(traced(nature=nature).started().until(lambda: False))
    failed = start.lives[2]
    assert (start.outcome, start.problem) == (Outcome.FAILED, "ImportError: no module named shop")
    assert (failed.name, failed.problem, failed.up) == ("worker 1", start.problem, None)
    assert milliseconds(failed)["boot"] == 50
    assert start.end < start.lines[-1].t


def test_a_fork_that_fails_ends_the_start_with_its_reason(traced: Trace) -> None:
    nature = Kind()
    nature.forks.extend([ForkFate.FORKS, ForkFate.FAILS])
    start = told(traced(nature=nature).started().until(lambda: False))
    assert start.outcome is Outcome.FAILED
    assert start.lives[1].problem == "Resource temporarily unavailable"
    assert [segment.name for segment in start.lives[1].segments(start.end)] == ["fork"]


def test_a_start_that_was_told_to_stop_did_not_fail(traced: Trace) -> None:
    begun = traced()
    begun.world.start()
    begun.world.run(0.15)
    begun.asked(StopRequested()).until(lambda: False)
    assert told(begun).outcome is Outcome.STOPPED


def test_a_start_under_way_is_unfinished(traced: Trace) -> None:
    begun = traced()
    begun.world.start()
    begun.world.run(0.15)
    start = told(begun)
    assert start.outcome is Outcome.UNFINISHED
    assert [life.up is not None for life in start.lives] == [True, False]


def test_a_reload_is_told_like_a_start(traced: Trace) -> None:
    cluster = traced().started().asked(ReloadRequested())
    reload = told(cluster, 2)
    assert reload.outcome is Outcome.READY
    assert {life.generation for life in reload.lives} == {2}
    assert [life.name for life in reload.lives] == ["nest", "agent", "worker 1", "worker 2"]
    assert told(cluster).generation == 1
    assert generations(typed(cluster.records())) == [1, 2]


def test_a_reload_that_is_rolled_back_says_why(traced: Trace) -> None:
    cluster = traced().started()
    assert isinstance(cluster.world.nature, Kind)
    cluster.world.nature.boots.append((BootFate.FAILS, 0.05))
    reload = told(cluster.asked(ReloadRequested()), 2)
    assert (reload.outcome, reload.problem) == (Outcome.ROLLED_BACK, "ImportError: no module named shop")


def test_what_comes_after_ready_is_not_part_of_the_start(traced: Trace) -> None:
    cluster = traced().started()
    before = told(cluster)
    assert told(cluster.asked(ScaleRequested(workers=5))).lives == before.lives


def test_in_spawn_mode_the_nest_names_the_threads(traced: Trace) -> None:
    start = told(traced(nature=Kind(start_mode=StartMode.SPAWN)).started())
    assert start.lives[0].threads == ["metrics (Python)"]


def test_a_generation_of_which_the_trace_knows_nothing_is_a_clear_error(traced: Trace) -> None:
    with pytest.raises(NoSuchGenerationError, match="no start of generation 3") as caught:
        told(traced().started(), 3)
    assert caught.value.hint.startswith("there are 1;")
    with pytest.raises(NoSuchGenerationError):
        history([])


def test_phases_that_took_longer_than_there_was_time_overlap_nothing() -> None:
    life = Life(1, "worker 1", 1, asked=10.0, forked=10.1, hello=10.2, up=10.5, phases=[("boot", 99.0), ("odd", -5.0), ("listen", 0.1)])
    segments = life.segments(11.0)
    assert (segments[0].begin, segments[-1].end) == (10.0, 10.5)
    assert all(one.end == other.begin for one, other in pairwise(segments))
    assert all(segment.seconds >= 0 for segment in segments)


def test_a_hello_that_was_read_late_does_not_shorten_what_came_after_it() -> None:
    nest = Life(1, "nest", 1, asked=10.0, forked=10.1, hello=10.99, up=11.0, import_seconds=0.5)
    worker = Life(2, "worker 1", 1, asked=10.0, forked=10.1, hello=11.0, up=11.0, phases=[("boot", 0.5)])
    assert milliseconds(nest) == {"fork": 100, "hello": 400, "import": 500, "gc": 0}
    assert milliseconds(worker) == {"fork": 100, "hello": 400, "start": 0, "boot": 500}


def test_a_boot_that_was_heard_of_before_the_fork_takes_no_negative_time() -> None:
    segments = Life(1, "worker 1", 1, asked=10.0, forked=10.4, up=10.3).segments(11.0)
    assert [round(segment.seconds, 3) for segment in segments] == [0.3, 0.0]


@given(seed=st.integers(0, 10_000))
def test_whatever_goes_wrong_every_stretch_is_within_its_process_life(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    rng = Random(seed)
    nature = Rough(rng, replace(Faults.drawn(rng), sleeps=0.0), 5.0, 5.0, spawns=rng.random() < 0.2)
    cluster = Traced(tmp_path_factory.mktemp("trace") / "trace.jsonl", nature=nature, boot_timeout=5.0)  # type: ignore[arg-type]
    cluster.world.start()
    cluster.world.run(rng.choice((0.1, 1.0, 60.0)))
    if cluster.world.exit is None and rng.random() < 0.7:
        cluster.world.ask(ReloadRequested())
        cluster.world.run(rng.choice((0.1, 60.0)))
    lines = typed(cluster.records())
    for generation in generations(lines):
        part = history(lines, generation)
        for life in part.lives:
            segments = life.segments(part.end)
            assert segments
            assert segments[0].begin == life.asked
            assert all(one.end == other.begin for one, other in pairwise(segments))
            assert all(segment.seconds >= 0 for segment in segments)
