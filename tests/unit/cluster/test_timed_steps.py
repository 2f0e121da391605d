"""What a process tells of the steps of its start fits into a line of the trace, whatever the application."""

from __future__ import annotations

import msgspec

from tamago.cluster.timed_steps import LONGEST_NAME, MOST, slowest, tell_steps
from tamago.cluster.trace import LONGEST_LINE, Trace
from tamago.ipc.control_messages import Timed
from tamago.types import Target, TimedStep


class _Starting:
    """The only thing asked of a target here."""

    def __init__(self, steps: list[TimedStep]) -> None:
        self._steps = steps

    def timed_steps(self) -> list[TimedStep]:
        return self._steps


def as_target(steps: list[TimedStep]) -> Target:
    target: Target = _Starting(steps)  # type: ignore[assignment]
    return target


def test_the_steps_with_most_time_of_their_own_are_told_in_their_order() -> None:
    steps = [TimedStep(str(number), float(number), 1.0, number / 1000) for number in range(MOST + 5)]
    told = slowest(steps)
    assert [step.name for step in told.steps] == [str(number) for number in range(5, MOST + 5)]
    assert told.left_out == 5


def test_a_step_that_did_not_end_is_told_before_all_others() -> None:
    steps = [TimedStep("hangs", 0.0, None, 0.0), *(TimedStep("quick", 1.0, 2.0, 2.0) for _ in range(MOST))]
    assert slowest(steps).steps[0].name == "hangs"


def test_of_a_long_name_the_end_is_kept() -> None:
    (step,) = slowest([TimedStep("Did Load in " + "x" * 200 + "/app/boot.py:did_load", 0.0, 1.0, 1.0)]).steps
    assert len(step.name) == LONGEST_NAME
    assert step.name.startswith("…x")
    assert step.name.endswith("x/app/boot.py:did_load")


def test_as_many_as_are_told_fit_into_a_line_of_the_trace() -> None:
    told = slowest([TimedStep("x" * 500, 123456.123456789, 1234.123456789, 1234.123456789) for _ in range(1000)])
    trace = Trace(None)
    trace.note("timed", now=1.0, wall=1.0, peer=3, steps=told.steps, left_out=told.left_out)
    (line,) = trace.tail(1)
    assert len(line["steps"]) == MOST
    assert len(msgspec.json.encode(line)) < LONGEST_LINE


def test_who_knows_of_no_step_tells_nothing() -> None:
    sent: list[Timed] = []
    tell_steps(sent.append, as_target([]))
    assert sent == []


def test_a_master_that_is_gone_is_no_reason_to_fail() -> None:
    def send(message: Timed) -> None:
        raise BrokenPipeError

    tell_steps(send, as_target([TimedStep("a", 0.0, 1.0, 1.0)]))
