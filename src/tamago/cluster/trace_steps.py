"""Which arrow of a sequence diagram a line of the trace is: who says what to whom. Pure; knows no diagram language."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from tamago.cluster.children import describe_status
from tamago.cluster.trace_lines import Line
from tamago.cluster.trace_timeline import milliseconds

MOST_PROCESSES: Final = 12
"""Who comes after that many processes is drawn as one participant."""

MASTER, LAUNCHER, CALLER, OTHERS = "master", "launcher", "caller", "others"
_SAID: Final = frozenset({"NestImported", "ProcessBooted", "ProcessFailed", "ProcessMisbehaved"})
_LOST: Final = frozenset({"ProcessExited", "ChannelLost"})
_FORKS: Final = frozenset({"ProcessForked", "ForkFailed"})
_ASKED: Final = frozenset({"ReloadRequested", "ScaleRequested", "KickRequested", "AgentRestartRequested", "StopRequested"})
_TOLD: Final = frozenset({"StartNest", "TellReady", "Drain", "Terminate", "DumpStacks", "Kill"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One message, or a remark about the sender if there is no receiver.

    `lost`: nothing comes from this sender any more. `crowd`: it is about one of those who are drawn as one.
    """

    sender: str
    receiver: str = ""
    text: str
    lost: bool = False
    crowd: bool = False
    times: int = 1


class Cast:
    """Who takes part, and what each line makes them do."""

    def __init__(self, lines: Sequence[Line]) -> None:
        self._causes = {line.cause for line in lines if line.kind == "command"}
        self._forks = {line.process: line for line in lines if line.type == "Fork"}
        self._launched = any(line.type == "launched" for line in lines)
        self._labels: dict[int, str] = {}
        for line in lines:
            if line.process and line.name and line.process not in self._labels:
                self._labels[line.process] = f"{line.name} gen {line.generation}" if line.generation else line.name
        self._ids = {peer: f"p{peer}" if place < MOST_PROCESSES else OTHERS for place, peer in enumerate(self._labels)}

    def participants(self) -> dict[str, str]:
        """Return everybody's label by the name used in steps, in the order to draw them."""
        named = {name: self._labels[peer] for peer, name in self._ids.items() if name != OTHERS}
        more = f"others ({sum(name == OTHERS for name in self._ids.values())})"
        return {LAUNCHER: "launcher", CALLER: "caller", MASTER: "master", **named, OTHERS: more}

    def steps(self, line: Line) -> Iterator[Step]:
        """Yield the steps of a line: none for what only matters inside the master."""
        read = {"event": self._event, "command": self._command}.get(line.kind, self._note)
        crowd = self._who(line) == OTHERS
        for step in read(line):
            yield replace(step, crowd=crowd)

    # ── events ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def _event(self, line: Line) -> Iterator[Step]:
        who = self._who(line)
        if line.type in _SAID:
            yield Step(sender=who, receiver=MASTER, text=_with(line.type, _details(line)))
        elif line.type in _LOST:
            status = describe_status(line.status) if line.type == "ProcessExited" else ""
            yield Step(sender=who, receiver=MASTER, text=_with(line.type, status), lost=True)
        elif line.type in _FORKS:
            yield self._forked(line)
        elif line.type in _ASKED:
            yield Step(sender=CALLER, receiver=MASTER, text=_with(line.type, line.reason))
        elif line.type != "TimePassed" or line.n in self._causes:
            yield Step(sender=who, text=_with(line.type, _details(line)))

    def _forked(self, line: Line) -> Step:
        who = self._who(line)
        details = line.reason if line.type == "ForkFailed" else f"pid {line.pid}" if who != OTHERS else ""
        order = self._forks.get(line.process)
        if order is None or order.mode != "fork" or order.nest is None:
            return Step(sender=who, text=_with(line.type, details))
        return Step(sender=self._id(order.nest), receiver=MASTER, text=_with(f"{line.type} {self._name(line)}", details))

    # ── commands ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def _command(self, line: Line) -> Iterator[Step]:
        if line.type in _TOLD:
            yield Step(sender=MASTER, receiver=self._who(line), text=line.type)
        elif line.type == "Fork":
            yield self._fork(line)
        elif line.type == "Answer":
            yield Step(sender=MASTER, receiver=CALLER, text=_with(line.type, _details(line)))
        elif line.type == "Exit":
            receiver = LAUNCHER if self._launched else ""
            yield Step(sender=MASTER, receiver=receiver, text=_with(line.type, _with(f"code {line.code}", _problem(line))))
        elif line.type != "Report" or line.level in {"warning", "error"}:
            yield Step(sender=MASTER, text=self._inside(line))

    def _fork(self, line: Line) -> Step:
        if line.mode == "fork" and line.nest is not None:
            return Step(sender=MASTER, receiver=self._id(line.nest), text=f"Fork {self._name(line)}")
        return Step(sender=MASTER, receiver=self._who(line), text=f"Fork by {line.mode or 'spawn'}")

    def _inside(self, line: Line) -> str:
        match line.type:
            case "EnterState":
                return line.state.upper()
            case "Activate":
                return f"Activate {self._name(line)}"
            case "SetSlots":
                return f"SetSlots {line.count}"
            case _:
                return _with(line.type, line.text)

    # ── notes ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _note(self, line: Line) -> Iterator[Step]:
        who = self._who(line)
        match line.type:
            case "launched":
                yield Step(sender=LAUNCHER, receiver=MASTER, text="start")
            case "hello":
                yield Step(sender=who, receiver=MASTER, text="hello")
            case "imported":
                yield Step(sender=who, text=f"imported in {milliseconds(line.seconds)} ms" if who != OTHERS else "imported")
            case "booted":
                phases = ", ".join(f"{name} {milliseconds(seconds)} ms" for name, seconds in line.phases)
                yield Step(sender=who, text=phases if phases and who != OTHERS else "booted")
            case "timed":
                return  # what one process did by itself; the timeline shows it
            case "bound":
                yield Step(sender=who, text=_with("bound", ", ".join(line.addresses)))
            case "gap":
                yield Step(sender=who, text=f"lines {line.first} to {line.last} are missing: {line.reason}")
            case _:
                yield Step(sender=who, text=_with(line.type, line.signal or _details(line)))

    # ── names ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _who(self, line: Line) -> str:
        return self._id(line.process) if line.process else MASTER

    def _id(self, peer: int) -> str:
        return self._ids.get(peer, OTHERS if peer else MASTER)

    def _name(self, line: Line) -> str:
        return "" if self._who(line) == OTHERS else line.name


def _problem(line: Line) -> str:
    return line.failure.problem if line.failure is not None else ""


def _details(line: Line) -> str:
    if line.type == "ProcessHung":
        return f"{line.what} blocked for {line.seconds:.0f} s"
    return _problem(line) or line.reason or line.text or line.mode


def _with(text: str, details: str) -> str:
    return f"{text.strip()}: {details}" if details else text.strip()
