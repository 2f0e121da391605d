"""Draws a trace as a Mermaid sequence diagram: each arrow is an event, a command or a note that is in the trace. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from tamago.cluster.children import describe_status
from tamago.cluster.trace_lines import Line
from tamago.cluster.trace_timeline import milliseconds

MOST_STEPS: Final = 300
MOST_PROCESSES: Final = 16
"""Who comes after that many processes is drawn as one participant."""
_LONGEST_LABEL: Final = 100

MASTER, LAUNCHER, CALLER, OTHERS = "master", "launcher", "caller", "others"
_CALLS, _SAYS, _LOSES = "->>", "-->>", "--x"
_TOLD: Final = {"TellReady": "ready", "Drain": "drain", "DumpStacks": "dump your stacks", "Terminate": "SIGTERM", "Kill": "SIGKILL"}
_REQUESTS: Final = frozenset({"ReloadRequested", "ScaleRequested", "KickRequested", "AgentRestartRequested", "StopRequested"})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Step:
    """An arrow, or a note if there is no receiver."""

    sender: str
    receiver: str = ""
    arrow: str = ""
    text: str
    times: int = 1
    noted: bool = False


def draw(lines: Sequence[Line]) -> str:
    """Return the diagram of these lines."""
    drawing = _Drawing(lines)
    steps = _merged([step for line in lines for step in drawing.steps(line)])
    half = MOST_STEPS // 2
    if len(steps) > MOST_STEPS:
        left = _Step(sender=MASTER, text=f"{len(steps) - 2 * half} more steps")
        steps = [*steps[:half], left, *steps[-half:]]
    used = {name for step in steps for name in (step.sender, step.receiver)}
    shown = [f"    participant {name} as {label}" for name, label in drawing.participants().items() if name in used]
    return "\n".join(["sequenceDiagram", *shown, *(f"    {_text(step)}" for step in steps)]) + "\n"


def _merged(steps: Sequence[_Step]) -> list[_Step]:
    """Join the same step made several times in a row, as with many processes in one participant."""
    merged: list[_Step] = []
    for step in steps:
        if merged and replace(merged[-1], times=1) == step:
            merged[-1] = replace(step, times=merged[-1].times + 1)
        else:
            merged.append(step)
    return merged


def _text(step: _Step) -> str:
    text = _escape(step.text) + (f" ×{step.times}" if step.times > 1 else "")
    if not step.receiver:
        return f"Note over {step.sender}: {text}"
    return f"{step.sender}{step.arrow}{step.receiver}: {text}"


def _escape(text: str) -> str:
    """Take away what ends a statement or begins an entity or a tag in Mermaid."""
    line = " ".join(text.split())
    line = line if len(line) <= _LONGEST_LABEL else line[: _LONGEST_LABEL - 1] + "…"
    line = line.replace("#", "#35;").replace("<", "#lt;").replace(">", "#gt;")
    # Only the entities' own semicolons may stay.
    return "".join(_keep(line)) or "-"


def _keep(line: str) -> Iterator[str]:
    entity = False
    for character in line:
        entity = character == "#" or (entity and character.isalnum())
        yield character
        if character == ";":
            entity = False


class _Drawing:
    """Knows who is drawn under which name."""

    def __init__(self, lines: Sequence[Line]) -> None:
        self._labels: dict[int, str] = {}
        self._nests: dict[int, str] = {}
        self._causes = {line.cause for line in lines if line.kind == "command" and line.cause is not None}
        self._hidden = 0
        for line in lines:
            if line.process and line.process not in self._labels and line.name:
                self._labels[line.process] = f"{line.name} gen {line.generation}" if line.generation else line.name
        self._names = {peer: f"p{peer}" if index < MOST_PROCESSES else OTHERS for index, peer in enumerate(self._labels)}
        self._parents = {line.process: line for line in lines if line.type == "Fork" and line.process is not None}

    def participants(self) -> dict[str, str]:
        labels = {LAUNCHER: "launcher", CALLER: "caller", MASTER: "master"}
        labels |= {self._names[peer]: label for peer, label in self._labels.items() if self._names[peer] != OTHERS}
        return labels | {OTHERS: f"{sum(name == OTHERS for name in self._names.values())} more processes"}

    def steps(self, line: Line) -> Iterator[_Step]:
        if line.kind == "note":
            yield self._note(line)
        elif line.kind == "event":
            yield from self._event(line)
        elif line.kind == "command":
            yield from self._command(line)
