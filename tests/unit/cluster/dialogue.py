"""Says events to a supervisor and returns its commands, so that a test reads like a conversation. Log lines are kept apart.

With the default policy the nest is peer 1, the agent 2, and the workers 3 and 4: peers are given in order.
"""

from __future__ import annotations

from typing import Any

from tamago.cluster.events import (
    Command,
    Event,
    Failure,
    Fork,
    NestImported,
    ProcessBooted,
    ProcessExited,
    ProcessForked,
    Report,
    StartMode,
    StartRequested,
    TimePassed,
)
from tamago.cluster.policy import Policy
from tamago.cluster.states import ClusterState
from tamago.cluster.supervisor import Supervisor
from tamago.types import Role

NEST, AGENT, FIRST, SECOND = 1, 2, 3, 4
BROKEN = Failure(problem="ModuleNotFoundError: No module named 'shop'", detail="Traceback (most recent call last): ...")


def worker(peer: int, slot: int, *, generation: int = 1, nest: int = NEST) -> Fork:
    """Return the order to fork a worker."""
    return Fork(process=peer, role=Role.WORKER, slot=slot, generation=generation, nest=nest, mode=StartMode.FORK)


def agent(peer: int, *, generation: int = 1, nest: int = NEST) -> Fork:
    """Return the order to fork an agent."""
    return Fork(process=peer, role=Role.AGENT, slot=0, generation=generation, nest=nest, mode=StartMode.FORK)


class Dialogue:
    """One conversation with one supervisor."""

    def __init__(self, *, jitter: float = 0.0, **policy: Any) -> None:
        self.supervisor = Supervisor(Policy(**{"workers": 2, **policy}), random=lambda: jitter)
        self.now = 0.0
        self.reports: list[Report] = []

    def say(self, event: Event) -> list[Command]:
        commands = self.supervisor.handle(event, now=self.now)
        self.reports += [command for command in commands if isinstance(command, Report)]
        return [command for command in commands if not isinstance(command, Report)]

    # ── what happens, in short ───────────────────────────────────────────────────────────────────────────────────────

    def forked(self, peer: int) -> list[Command]:
        return self.say(ProcessForked(process=peer, pid=100 + peer))

    def imported(self, peer: int, mode: StartMode = StartMode.FORK) -> list[Command]:
        return self.say(NestImported(process=peer, mode=mode))

    def booted(self, peer: int) -> list[Command]:
        return self.say(ProcessBooted(process=peer))

    def exited(self, peer: int, status: int = 0) -> list[Command]:
        return self.say(ProcessExited(process=peer, status=status))

    def wait(self, seconds: float) -> list[Command]:
        """Let so much time pass, and its timers fire where the supervisor asked for them."""
        end, said = self.now + seconds, []
        while (deadline := self.supervisor.next_deadline) is not None and deadline <= end:
            self.now = max(self.now, deadline)
            said += self.say(TimePassed())
        self.now = end
        return said

    def born(self, *peers: int) -> list[Command]:
        """Have processes that were asked for appear and boot."""
        said = []
        for peer in peers:
            self.forked(peer)
            said += self.booted(peer)
        return said

    def nest_born(self, peer: int, mode: StartMode = StartMode.FORK) -> list[Command]:
        self.forked(peer)
        return self.imported(peer, mode)

    # ── where most conversations begin ───────────────────────────────────────────────────────────────────────────────

    def started(self) -> Dialogue:
        """Begin, up to READY."""
        self.say(StartRequested())
        self.nest_born(NEST)
        while forking := [process.peer for process in self.supervisor.processes.values() if not process.pid]:
            self.born(forking[0])
        assert self.supervisor.state is ClusterState.READY
        self.now += 1000.0
        return self

    def started_meanwhile(self) -> None:
        """Begin, until nobody of the first generation is missing; something else may have been asked for."""
        self.say(StartRequested())
        self.nest_born(NEST)
        while self.supervisor.state is ClusterState.STARTING:
            self.born(next(process.peer for process in self.supervisor.processes.values() if not process.pid))
