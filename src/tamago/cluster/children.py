"""What the supervisor remembers: processes, the seats they sit in, and the generations they belong to. Plain records, no decisions."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from tamago.cluster.events import Failure, StartMode
from tamago.cluster.policy import Failures
from tamago.cluster.states import PROCESS_TRANSITIONS, ProcessState, ProcessStep, advance
from tamago.types import Role

# Signals have the same numbers everywhere for these; the names are what an operator searches for.
_SIGNALS: Final = {
    1: "SIGHUP",
    2: "SIGINT",
    3: "SIGQUIT",
    4: "SIGILL",
    6: "SIGABRT",
    8: "SIGFPE",
    9: "SIGKILL",
    11: "SIGSEGV",
    13: "SIGPIPE",
    14: "SIGALRM",
    15: "SIGTERM",
}
_HINTS: Final = {
    0: "it ended by itself: look for `os._exit` and `os.exec` in the application and in what it imports",
    9: "not sent by tamago: an operator, or the kernel because memory ran out (possible OOM, see `dmesg`)",
    11: "a native extension crashed; `ulimit -c unlimited` keeps a core file",
}


def describe_status(status: int) -> str:
    """Say how a process ended.

    >>> describe_status(3), describe_status(-15)
    ('exit code 3', 'signal SIGTERM')
    """
    if status >= 0:
        return f"exit code {status}"
    return f"signal {_SIGNALS.get(-status, -status)}"


def hint_for_status(status: int) -> str:
    """Return what to look at after such an end, or an empty string."""
    return _HINTS.get(-status, "") if status <= 0 else ""


@dataclass(slots=True, eq=False)
class Process:
    """One incarnation. Its peer id is never given to another.

    Invariant: `pid` is 0 until ProcessForked, and a command that needs a pid is sent only when there is one.
    """

    peer: int
    role: Role
    slot: int
    generation: int
    state: ProcessState = ProcessState.WAITING
    pid: int = 0
    due: float = 0.0  # WAITING: not before
    deadline: float | None = None  # what it means depends on the state: boot, drain, or the next SIGKILL
    lost_at: float | None = None  # its channel closed; when it must have exited
    ready_at: float | None = None
    active: bool = False  # gets its seat's messages
    ready_told: bool = False
    asked_of: Process | None = None  # FORKING: the nest that was asked
    booted_early: bool = False  # its own channel was faster than its nest's
    kill_sent: bool = False
    failure: Failure | None = None

    def step(self, step: ProcessStep) -> None:
        """Move along the transition table."""
        self.state = advance(PROCESS_TRANSITIONS, self.state, step)

    @property
    def is_leaving(self) -> bool:
        """Whether it is on its way out."""
        return self.state in {ProcessState.DRAINING, ProcessState.KILLING, ProcessState.GONE}

    @property
    def is_cut_off(self) -> bool:
        """Whether it exists, is wanted, and its channel is closed."""
        return self.lost_at is not None and self.pid != 0 and not self.is_leaving

    @property
    def is_serving(self) -> bool:
        """Whether it is ready and has its seat's messages."""
        return self.state is ProcessState.READY and self.active

    def ready_for(self, now: float) -> float:
        """Return for how many seconds it has been ready."""
        return 0.0 if self.ready_at is None else now - self.ready_at

    def to_log(self) -> str:
        """Return the one way this process is named in log lines."""
        name = f"worker {self.slot}" if self.role is Role.WORKER else self.role.value
        return f"{name} gen={self.generation}" + (f" pid={self.pid}" if self.pid else "")


@dataclass(slots=True, eq=False)
class Seat:
    """The agent's place or a worker's slot; it outlives who sits in it.

    Invariant: `current` and `successor` are never leaving; who leaves is taken out first.
    """

    role: Role
    slot: int
    current: Process | None = None
    successor: Process | None = None  # boots while `current` serves
    renew: str = ""  # why `current` is to be replaced, if it is
    due: float = 0.0  # no new process before
    failures: Failures = field(default_factory=Failures)
    deaths: int = 0  # unexpected ones
    last_death: str = ""
    waiters: list[tuple[int, int]] = field(default_factory=list)  # (request, the peer it wants replaced)

    @property
    def is_served(self) -> bool:
        """Whether somebody is ready in it and has its messages."""
        return self.current is not None and self.current.is_serving

    def serves(self, generation: int) -> bool:
        """Whether it is served by this generation and nobody is about to follow."""
        current = self.current
        return current is not None and current.generation == generation and current.is_serving and self.successor is None

    def vacate(self, process: Process) -> None:
        """Take a process out; its successor, if any, moves up."""
        if self.successor is process:
            self.successor = None
        elif self.current is process:
            self.current, self.successor, self.renew = self.successor, None, ""


@dataclass(slots=True, eq=False)
class Generation:
    """A nest and everything forked from it."""

    number: int
    nest: Process | None = None
    mode: StartMode | None = None
    due: float = 0.0
    failures: Failures = field(default_factory=Failures)

    @property
    def can_fork(self) -> bool:
        """Whether its nest takes orders."""
        return self.nest is not None and self.nest.state is ProcessState.READY and self.nest.lost_at is None


@dataclass(slots=True, eq=False)
class Reload:
    """A reload under way; `failure` is set once it rolls back."""

    incoming: Generation
    requests: list[int]
    workers: int = 0
    failure: Failure | None = None
