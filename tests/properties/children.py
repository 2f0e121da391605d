"""What the simulated world remembers: its processes and the requests made of the cluster."""

from __future__ import annotations

from dataclasses import dataclass

from tamago.cluster.events import AgentRestartRequested, KickRequested, ReloadRequested, ScaleRequested, StartMode, StopRequested
from tamago.types import Role

Request = ReloadRequested | ScaleRequested | KickRequested | AgentRestartRequested | StopRequested


class DisobedienceError(AssertionError):
    """The supervisor asked for what cannot be done."""


@dataclass(slots=True, eq=False)
class Child:
    """One process, or the order to start it."""

    peer: int
    role: Role
    slot: int
    generation: int
    nest: int = 0
    mode: StartMode = StartMode.FORK
    # what is true
    pid: int = 0
    alive: bool = False
    stalled: bool = False  # a nest that has stopped answering
    fifo: float = 0.0  # nothing that it says overtakes what it said before
    forked_at: float = 0.0
    attempt: int = 0  # a fork that failed may be asked for again
    # what the supervisor was told
    asked: bool = False  # an order to fork is unanswered
    forked: bool = False
    booted: bool = False
    early: bool = False  # that it booted, before its pid
    exited: bool = False
    # what it was told
    active: bool = False
    told_ready: bool = False
    leaving: bool = False
    drained_at: float | None = None
    killed: bool = False
    killed_in_stop: bool = False

    @property
    def is_known(self) -> bool:
        """Whether the supervisor knows a pid for it, and nothing of its end."""
        return self.forked and not self.exited


@dataclass(slots=True)
class Asked:
    """A request, and what was the case when it was made."""

    event: Request
    at: float
    generation: int
    peer: int = 0  # who was to be replaced
