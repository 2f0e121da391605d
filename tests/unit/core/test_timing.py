from __future__ import annotations

import asyncio
import os
import sys
from types import SimpleNamespace

import pytest

from tamago.core.timing import NotStartedError, Timing, process_created
from tamago.types import TimedStep


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds, as the monotonic clock shows them; the wall clock stood at 1000 s when it showed 0."""
    now = [0.0]
    monkeypatch.setattr("tamago.core.timing.time", SimpleNamespace(perf_counter=lambda: now[0], time=lambda: 1000.0))
    monkeypatch.setattr("tamago.core.timing.process_created", lambda: None)
    return now


def test_an_item_is_dumped_in_the_shape_egg_gives_it(clock: list[float]) -> None:
    timing = Timing()
    timing.start("Load Config")
    clock[0] = 0.25
    timing.end("Load Config")
    assert timing.to_list() == [
        {"name": "Load Config", "start": 1_000_000.0, "end": 1_000_250.0, "duration": 250.0, "pid": os.getpid(), "index": 0}
    ]


def test_starting_a_name_again_ends_the_item_before(clock: list[float]) -> None:
    timing = Timing()
    timing.start("a")
    clock[0] = 1
    timing.start("a")
    clock[0] = 3
    timing.end("a")
    assert [item["duration"] for item in timing.to_list()] == [1000, 2000]
    with pytest.raises(NotStartedError):
        timing.end("a")


def test_an_end_without_a_start_is_an_error_that_names_it(clock: list[float]) -> None:
    with pytest.raises(NotStartedError) as caught:
        Timing().end("Load Nothing")
    assert "'Load Nothing'" in caught.value.problem


def test_a_block_is_measured(clock: list[float]) -> None:
    timing = Timing()
    with timing.measure("outer"):
        clock[0] = 1
        with timing.measure("inner"):
            clock[0] = 3
    assert [(item["name"], item["duration"]) for item in timing.to_list()] == [("outer", 3000), ("inner", 2000)]


def test_blocks_of_one_name_may_run_at_once(clock: list[float]) -> None:
    timing = Timing()
    first, second = timing.measure("query"), timing.measure("query")
    first.__enter__()
    second.__enter__()
    clock[0] = 1
    first.__exit__(None, None, None)
    clock[0] = 2
    second.__exit__(None, None, None)
    assert [item["duration"] for item in timing.to_list()] == [1000, 2000]
    assert timing.unfinished() == []


def test_a_block_that_raises_stays_unfinished(clock: list[float]) -> None:
    timing = Timing()
    with pytest.raises(LookupError), timing.measure("Did Load in app/boot.py:did_load"):
        raise LookupError
    assert [item.name for item in timing.unfinished()] == ["Did Load in app/boot.py:did_load"]


def test_a_disabled_timing_keeps_nothing_and_complains_of_nothing(clock: list[float]) -> None:
    timing = Timing()
    timing.start("before")
    timing.disable()
    timing.start("during")
    timing.end("during")
    timing.end("before")
    timing.enable()
    with timing.measure("after"):
        pass
    assert [item["name"] for item in timing.to_list()] == ["before", "after"]
    assert timing.unfinished() == []
    timing.clear()
    assert timing.to_list() == []


def test_the_timeline_is_drawn_on_one_scale(clock: list[float]) -> None:
    timing = Timing()
    timing.start("Load Config")
    clock[0] = 0.2
    timing.end("Load Config")
    timing.start("Did Load in app/boot.py:did_load")
    clock[0] = 1.0
    assert timing.render() == "\n".join(
        (
            "start timeline:",
            f"{'▇' * 10} [200ms] - #0 Load Config",
            f"{' ' * 10}{'▇' * 40} [800ms...] - #1 Did Load in app/boot.py:did_load",
        )
    )


def test_the_shortest_item_at_the_very_end_is_still_seen(clock: list[float]) -> None:
    timing = Timing()
    timing.start("long")
    clock[0] = 1000.0
    timing.end("long")
    with timing.measure("short"):
        pass
    assert timing.render().splitlines()[-1] == f"{' ' * 49}▇ [0ms] - #1 short"


def test_an_empty_timeline_can_be_drawn(clock: list[float]) -> None:
    assert Timing().render() == "start timeline: nothing was timed"


def test_slow_steps_are_found(clock: list[float]) -> None:
    timing = Timing()
    timing.start("slow")
    clock[0] = 6.0
    timing.end("slow")
    timing.start("quick")
    timing.end("quick")
    timing.start("open")
    assert [item.name for item in timing.slower_than(5000)] == ["slow"]


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel says it in /proc")
def test_the_start_of_this_process_is_known_and_comes_first() -> None:
    created = process_created()
    assert created is not None
    timing = Timing()
    (first,) = timing.to_list()
    assert first["name"] == "Process Start"
    assert isinstance(first["duration"], float)
    assert first["duration"] > 0
    assert timing.slower_than(0) == []


def test_where_the_kernel_says_nothing_there_is_no_such_item(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise FileNotFoundError

    monkeypatch.setattr("builtins.open", refuse)
    created = process_created()
    monkeypatch.undo()
    assert created is None


def test_of_a_step_its_own_time_is_what_no_step_inside_it_accounts_for(clock: list[float]) -> None:
    timing = Timing()
    with timing.measure("Load Boot"):
        clock[0] = 1
        with timing.measure("Require(0) app.boot"):
            clock[0] = 3
            timing.start("query")
            clock[0] = 4
            timing.end("query")
        clock[0] = 4.5
    assert timing.steps() == [
        TimedStep("Load Boot", 0.0, 4.5, 1.5),
        TimedStep("Require(0) app.boot", 1.0, 3.0, 2.0),
        TimedStep("query", 3.0, 1.0, 1.0),
    ]


def test_what_merely_runs_at_the_same_time_is_not_inside(clock: list[float]) -> None:
    timing = Timing()

    async def hook(name: str, ends: float, before: asyncio.Event, after: asyncio.Event) -> None:
        with timing.measure(name):
            after.set()
            await before.wait()
            clock[0] = ends

    async def hooks() -> None:
        second_began, second_ended = asyncio.Event(), asyncio.Event()
        second_ended.set()
        await asyncio.gather(hook("long", 3.0, second_began, asyncio.Event()), hook("short", 2.0, second_ended, second_began))

    asyncio.run(hooks())
    assert {step.name: step.own for step in timing.steps()} == {"long": 3.0, "short": 2.0}


def test_a_step_that_has_not_ended_has_the_time_so_far_of_its_own(clock: list[float]) -> None:
    timing = Timing()
    with timing.measure("Did Load"), timing.measure("query"):
        clock[0] = 2.0
        timing.start("rest")
        clock[0] = 3.0
        assert timing.steps()[-1] == TimedStep("rest", 2.0, None, 1.0)


def test_the_steps_of_the_process_it_was_forked_from_are_not_its_own(clock: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    timing = Timing()
    with timing.measure("Load Application"):
        clock[0] = 1.0
    child = os.getpid() + 1
    monkeypatch.setattr("tamago.core.timing.os", SimpleNamespace(getpid=lambda: child))
    with timing.measure("Load Config"):
        clock[0] = 2.0
    assert [step.name for step in timing.steps()] == ["Load Config"]


def test_a_block_that_ends_twice_counts_once(clock: list[float]) -> None:
    timing = Timing()
    with timing.measure("Load Boot"), timing.measure("query"):
        clock[0] = 1.0
        timing.start("query")
        clock[0] = 2.0
    assert timing.steps()[0].own == 0.0
