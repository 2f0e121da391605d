"""What `tamago trace` shows: the records of a trace as a timeline, as JSON, or as a sequence diagram. Pure but for `load`."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from tamago.cluster import trace_mermaid, trace_timeline
from tamago.cluster.trace_history import History, Life, NoSuchGenerationError, generations, history
from tamago.cluster.trace_lines import Record, TraceUnreadableError, load, typed
from tamago.types import TimedStep

__all__ = [
    "NoSuchGenerationError",
    "Record",
    "TraceUnreadableError",
    "as_json",
    "generations",
    "load",
    "mermaid",
    "timeline",
]


def timeline(records: Sequence[Record], width: int = 100, *, generation: int = 1, all: bool = False) -> str:  # noqa: A002 - as the flag
    """Draw a start (or the reload that made a later generation) as text, with the slowest steps of each process or with `all` of them.

    Raises `NoSuchGenerationError`.
    """
    return trace_timeline.draw(history(typed(records), generation), width, all_steps=all)


def mermaid(records: Sequence[Record], *, generation: int = 1, all: bool = False) -> str:  # noqa: A002 - as the flag
    """Draw the same as a Mermaid sequence diagram, or with `all` everything there is, as far as it fits."""
    lines = typed(records)
    return trace_mermaid.draw(lines if all else history(lines, generation).lines)


def as_json(records: Sequence[Record], *, generation: int = 1) -> str:
    """Return the figures of the timeline, and all records as they stand in the file, as one JSON object."""
    told = {"start": _figures(history(typed(records), generation)), "lines": list(records)}
    return msgspec.json.format(msgspec.json.encode(told), indent=2).decode() + "\n"


def _figures(told: History) -> dict[str, object]:
    return {
        "generation": told.generation,
        "outcome": told.outcome,
        "seconds": round(told.seconds, 6),
        "problem": told.problem,
        "addresses": told.addresses,
        "launch_seconds": told.launcher and round(told.launcher.seconds, 6),
        "prepare_seconds": told.master and round(told.master.seconds, 6),
        "processes": [_process(life, told) for life in told.lives],
    }


def _process(life: Life, told: History) -> dict[str, object]:
    return {
        "name": life.name,
        "generation": life.generation,
        "pid": life.pid,
        "began": round(life.asked - told.begin, 6),
        "seconds": None if life.up is None else round(life.seconds(), 6),
        "phases": [[segment.name, round(segment.seconds, 6)] for segment in life.segments(told.end)],
        "steps": [_step(step, told) for step in life.steps],
        "steps_left_out": life.steps_left_out,
        "problem": life.problem,
    }


def _step(step: TimedStep, told: History) -> dict[str, object]:
    return {"name": step.name, "began": round(step.began - told.begin, 6), "seconds": step.seconds, "own_seconds": step.own}
