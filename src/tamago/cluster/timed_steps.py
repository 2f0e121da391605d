"""What a process tells the master about the steps of its start: the slowest of them, so that an application of any size fits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

from tamago.ipc.control_messages import Timed
from tamago.types import Target, TimedStep

MOST: Final = 80
"""Steps of one process. With names of LONGEST_NAME they stay below the 16 KiB that a line of the trace may have."""
LONGEST_NAME: Final = 120


def tell_steps(send: Callable[[Timed], object], target: Target) -> None:
    """Tell the master what the start of this process has spent its time on so far, if anything is known."""
    if steps := target.timed_steps():
        with suppress(OSError):  # the master is gone, which ends us by other means
            send(slowest(steps))


def slowest(steps: Sequence[TimedStep]) -> Timed:
    """Return the steps with the most time of their own, in the order given. One that did not end comes before all that did."""
    ranked = sorted(range(len(steps)), key=lambda index: steps[index].weight, reverse=True)
    kept = [_short(steps[index]) for index in sorted(ranked[:MOST])]
    return Timed(steps=kept, left_out=len(steps) - len(kept))


def _short(step: TimedStep) -> TimedStep:
    seconds = None if step.seconds is None else round(step.seconds, 6)
    # Of a long name the end says more: it is a module, or a file and its hook.
    name = step.name if len(step.name) <= LONGEST_NAME else f"…{step.name[1 - LONGEST_NAME :]}"
    return TimedStep(name=name, began=round(step.began, 6), seconds=seconds, own=round(step.own, 6))
