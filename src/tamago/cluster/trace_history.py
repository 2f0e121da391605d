"""What a trace says about one start or reload: when it began and ended, who was started, and what each one's time went to. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from tamago.cluster.states import ClusterState
from tamago.cluster.trace_lines import Line, one_line
from tamago.errors import TamagoError
from tamago.types import TimedStep

_GONE_NEST: Final = frozenset({"Terminate", "Kill", "ProcessExited", "ForkFailed"})
_LONGEST_NAME: Final = 24
_UP: Final = frozenset({"NestImported", "ProcessBooted"})


class NoSuchGenerationError(TamagoError):
    """The trace tells nothing of that generation's start."""

    def __init__(self, generation: int, known: Sequence[int]) -> None:
        there = f"there are {', '.join(map(str, known))}" if known else "there is none yet"
        super().__init__(f"the trace has no start of generation {generation}", hint=f"{there}; the middle of a long trace is dropped")
        self.generation = generation


class Outcome(Enum):
    """How a start or reload ended."""

    READY = "ready"
    FAILED = "failed"
    ROLLED_BACK = "rolled back"
    STOPPED = "stopped"
    UNFINISHED = "unfinished"


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of a process' start. Times are monotonic seconds."""

    name: str
    begin: float
    end: float

    @property
    def seconds(self) -> float:
        return self.end - self.begin


@dataclass(slots=True)
class Life:
    """One process as far as the start concerns it."""

    peer: int
    name: str
    generation: int
    asked: float
    pid: int = 0
    forked: float | None = None
    hello: float | None = None
    up: float | None = None
    ended: float | None = None
    problem: str = ""
    import_seconds: float = 0.0
    threads: list[str] = field(default_factory=list)
    phases: list[tuple[str, float]] = field(default_factory=list)
    steps: list[TimedStep] = field(default_factory=list)
    steps_left_out: int = 0

    @property
    def is_worker(self) -> bool:
        return self.name.startswith("worker")

    @property
    def slot(self) -> int:
        number = self.name.rpartition(" ")[2]
        return int(number) if number.isdecimal() else 0

    def seconds(self) -> float:
        """Return how long it took from the order to start it until it was up; infinite if it never was."""
        return float("inf") if self.up is None else self.up - self.asked

    def segments(self, until: float) -> list[Segment]:
        """Return what its time went to, in order and without holes, until it was up, gone, or `until`."""
        end = next((moment for moment in (self.up, self.ended) if moment is not None), until)
        marks = [("fork", self.forked), ("hello", self._spoke(end)), *self._phase_ends(end)]
        # What it was doing when the trace ends, or it did, has no end of its own.
        if self.up is None:
            marks.append(("fork" if self.forked is None else self._first_phase(), end))
        found, begin = [], self.asked
        for name, moment in marks:
            if moment is not None:
                # What several processes say about the same moment may differ by how long it was on its way.
                stop = min(max(moment, begin), max(end, begin))
                found.append(Segment(name, begin, stop))
                begin = stop
        return found

    def _first_phase(self) -> str:
        return "import" if self.name == "nest" else "boot"

    def _known_phases(self) -> list[tuple[str, float]]:
        return self.phases or ([("import", self.import_seconds)] if self.import_seconds else [])

    def _spoke(self, end: float) -> float | None:
        """Return when it said hello. A busy master reads that late, but its phases came after it."""
        if self.hello is None or self.up is None:
            return self.hello
        return min(self.hello, end - sum(seconds for _, seconds in self._known_phases()))

    def _phase_ends(self, end: float) -> Iterator[tuple[str, float]]:
        if self.up is None:
            return
        phases, spoke = self._known_phases(), self._spoke(end)
        if not phases:
            yield self._first_phase(), end
        elif self.name == "nest" and spoke is not None:
            yield "import", spoke + self.import_seconds
            yield "gc", end  # it collects and freezes what it imported before it says so
        else:
            moment = end - sum(seconds for _, seconds in phases)
            yield "start", moment  # the interpreter, the event loop: what its code does before the first phase
            for name, seconds in phases:
                moment += seconds
                yield name, moment


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """One start (generation 1) or reload."""

    generation: int
    begin: float
    end: float
    outcome: Outcome
    problem: str
    launcher: Segment | None  # from the command line's first instruction to the master's
    master: Segment | None  # settings, lock and sockets, until the supervisor was told to start
    addresses: list[str]
    lives: list[Life]
    lines: Sequence[Line]

    @property
    def seconds(self) -> float:
        return self.end - self.begin


def history(lines: Sequence[Line], generation: int = 1) -> History:
    """Tell how that generation was started; raises `NoSuchGenerationError`."""
    part = _window(lines, generation)
    begin = min(line.t for line in part)
    end = _last_state(part) or part[-1]
    launched = _first(part, "launched")
    started = _first(part, "started")
    requested = _first(part, "StartRequested")
    first = started or next((line for line in part if line is not launched), None)
    bound = _first(part, "bound")
    outcome = _outcome(part, generation)
    return History(
        generation=generation,
        begin=begin,
        end=max(begin, end.t),
        outcome=outcome,
        problem=_problem(part) if outcome in {Outcome.FAILED, Outcome.ROLLED_BACK} else "",
        launcher=Segment("launch", launched.t, max(launched.t, first.t)) if launched and first else None,
        master=Segment("prepare", first.t, max(first.t, requested.t)) if first and requested else None,
        addresses=bound.addresses if bound else [],
        lives=list(_lives(part).values()),
        lines=part,
    )


def generations(lines: Sequence[Line]) -> list[int]:
    """Return the generations whose start the trace tells of."""
    return sorted({line.generation for line in lines if line.type == "StartNest"})


def _first(lines: Sequence[Line], type_: str) -> Line | None:
    return next((line for line in lines if line.type == type_), None)


def _window(lines: Sequence[Line], generation: int) -> Sequence[Line]:
    """Cut out the lines from the beginning of a start to its end."""
    begin = 0
    if generation != 1:
        begin = next((i for i, line in enumerate(lines) if line.type == "StartNest" and line.generation == generation), -1)
        asked = (i for i in range(begin, -1, -1) if _state(lines[i]) is ClusterState.RELOADING)
        begin = next(asked, begin)
    if not lines or begin < 0:
        raise NoSuchGenerationError(generation, generations(lines))
    for index in range(begin, len(lines)):
        if _state(lines[index]) is ClusterState.READY or lines[index].type == "Exit":
            return lines[begin : index + 1]
    return lines[begin:]


def _state(line: Line) -> ClusterState | None:
    if line.type != "EnterState":
        return None
    return next((state for state in ClusterState if state.value == line.state), None)


def _last_state(lines: Sequence[Line]) -> Line | None:
    """Return where the start ended: when the cluster was ready, or when it was given up."""
    return next((line for line in reversed(lines) if _state(line) in {ClusterState.READY, ClusterState.STOPPING}), None)


def _outcome(lines: Sequence[Line], generation: int) -> Outcome:
    states = [state for line in lines if (state := _state(line)) is not None]
    if ClusterState.STOPPING in states:
        code = next((line.code for line in lines if line.type == "Exit"), None)
        failed = code if code is not None else any(line.type == "Report" and line.level == "error" for line in lines)
        return Outcome.FAILED if failed else Outcome.STOPPED
    if ClusterState.READY not in states:
        return Outcome.UNFINISHED
    nest_left = any(line.type in _GONE_NEST and line.name == "nest" and line.generation == generation for line in lines)
    return Outcome.ROLLED_BACK if nest_left and generation > 1 else Outcome.READY


def _problem(lines: Sequence[Line]) -> str:
    for type_ in ("Exit", "ProcessFailed", "Report"):
        for line in lines:
            if line.type == type_ and line.failure is not None:
                return line.failure.problem
    return ""


def _lives(lines: Sequence[Line]) -> dict[int, Life]:
    lives: dict[int, Life] = {}
    for line in lines:
        if line.process is None:
            continue
        if line.type in {"StartNest", "Fork"}:
            lives.setdefault(line.process, Life(line.process, line.name, line.generation, line.t))
        elif life := lives.get(line.process):
            _add(life, line)
    return lives


def _add(life: Life, line: Line) -> None:
    life.pid = life.pid or line.pid
    match line.type:
        case "ProcessForked":
            life.forked = line.t
        case up if up in _UP:
            life.up = life.up or line.t
        case "ProcessFailed" | "ForkFailed":
            life.problem = life.problem or (line.failure.problem if line.failure else line.reason)
        case "ProcessExited":
            life.ended = life.ended or line.t
            life.problem = life.problem or f"exited with status {line.status}"
        case _:
            _add_note(life, line)


def _add_note(life: Life, line: Line) -> None:
    """Add what the process said of itself."""
    match line.type:
        case "hello":
            life.hello = life.hello or line.t
        case "imported":
            life.import_seconds, life.threads = line.seconds, line.threads
        case "booted":
            life.phases = [(one_line(name, _LONGEST_NAME), seconds) for name, seconds in line.phases]
        case "timed":
            life.steps, life.steps_left_out = line.steps, line.left_out
        case _:
            return
