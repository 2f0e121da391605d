"""Writes the steps of a trace down as a Mermaid sequence diagram of bounded length. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from tamago.cluster.trace_lines import Line, one_line
from tamago.cluster.trace_steps import CALLER, LAUNCHER, MASTER, Cast, Step

MOST_STEPS: Final = 300
"""Steps in one diagram; of more, the first and the last are drawn."""
_LONGEST_TEXT: Final = 100
_DOWN: Final = frozenset({LAUNCHER, CALLER, MASTER})
# How far apart the same step of two processes of a crowd may be.
_CLOSE: Final = 6
# What would end a statement, or begin an entity, a tag or a directive.
_ENTITIES: Final = str.maketrans({"#": "#35;", ";": "#59;", "<": "#lt;", ">": "#gt;", "%": "#37;"})


def draw(lines: Sequence[Line]) -> str:
    """Return the diagram of these lines."""
    cast = Cast(lines)
    steps = _merged([step for line in lines for step in cast.steps(line)])
    if len(steps) > MOST_STEPS:
        half = MOST_STEPS // 2
        left_out = Step(sender=MASTER, text=f"{len(steps) - 2 * half} steps are left out")
        steps = [*steps[:half], left_out, *steps[-half:]]
    drawn = {MASTER} | {name for step in steps for name in (step.sender, step.receiver)}
    participants = [f"    participant {name} as {label}" for name, label in cast.participants().items() if name in drawn]
    return "\n".join(["sequenceDiagram", *participants, *(f"    {_statement(step)}" for step in steps)]) + "\n"


def _merged(steps: Sequence[Step]) -> list[Step]:
    """Join the same step made several times in a row; those of a crowd, whose members take turns, also a few steps apart."""
    merged: list[Step] = []
    for step in steps:
        near = range(len(merged) - 1, max(-1, len(merged) - 1 - (_CLOSE if step.crowd else 1)), -1)
        index = next((i for i in near if replace(merged[i], times=1) == step), None)
        if index is None:
            merged.append(step)
        else:
            merged[index] = replace(step, times=merged[index].times + 1)
    return merged


def _statement(step: Step) -> str:
    text = _escape(step.text) + (f" ({step.times} times)" if step.times > 1 else "")
    if not step.receiver:
        return f"Note over {step.sender}: {text}"
    arrow = "--x" if step.lost else "->>" if step.sender in _DOWN else "-->>"
    return f"{step.sender}{arrow}{step.receiver}: {text}"


def _escape(text: str) -> str:
    return one_line(text, _LONGEST_TEXT).translate(_ENTITIES) or "-"
