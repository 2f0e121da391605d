"""Which steps of a start are worth a line: the slowest of each process, and of many workers those of the slowest worker. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from tamago.cluster.trace_history import Life
from tamago.types import TimedStep

LEAST: Final = 0.01
"""Seconds of its own from which on a step is slow."""
_MOST: Final = 5
_FEW_WORKERS: Final = 4


def slow_steps(lives: Iterable[Life]) -> Mapping[int, Sequence[TimedStep]]:
    """Return the steps to show by the peer id of their process, in the order they began. What did not end is always among them."""
    lives = list(lives)
    workers = sorted((life for life in lives if life.is_worker), key=Life.seconds)
    # Workers run the same hooks. Those that never came up are the last, and each has a reason of its own.
    hidden = {life.peer for life in workers[:-1] if life.up is not None} if len(workers) > _FEW_WORKERS else set()
    return {life.peer: _slowest(life.steps) for life in lives if life.peer not in hidden}


def _slowest(steps: Sequence[TimedStep]) -> Sequence[TimedStep]:
    slow = [step for step in steps if step.seconds is None or step.own >= LEAST]
    ranked = sorted(slow, key=lambda step: step.weight, reverse=True)
    return sorted(ranked[:_MOST], key=lambda step: step.began)
