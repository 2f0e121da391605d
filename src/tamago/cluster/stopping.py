"""The end of a cluster: workers drain, then the agent, then the nests; asked once more, all at once."""

from __future__ import annotations

from dataclasses import replace

from tamago.cluster.asking import STOPPING, Requests
from tamago.cluster.events import CloseListeners, Exit, Failure, StopRequested
from tamago.cluster.roster import Roster
from tamago.cluster.states import ClusterState, ClusterStep
from tamago.types import Role


class Stopping:
    """Begins a stop, for whatever reason, and leads it to its end."""

    def __init__(self, roster: Roster, requests: Requests) -> None:
        self._roster = roster
        self._requests = requests
        self._waiters: list[int] = []
        self._now = False
        self._listeners_closed = False
        self._code = 0
        self._failure: Failure | None = None
        self.drain_at = 0.0
        """Until then the cluster serves on (`--drain-delay`)."""

    @property
    def is_now(self) -> bool:
        """Whether nobody is given time to finish any more."""
        return self._now

    @property
    def has_begun(self) -> bool:
        """Whether processes are being ended, not only announced to be."""
        stopping = self._roster.state is ClusterState.STOPPING
        return stopping and (self._now or self._roster.now >= self.drain_at)

    def take(self, event: StopRequested) -> None:
        """Stop, or stop now if that was asked before."""
        self._waiters.append(event.request)
        if event.timeout is not None:
            self._roster.policy = replace(self._roster.policy, stop_timeout=event.timeout)
        if self._roster.state is ClusterState.STOPPING:
            self._now = True
            self._roster.report("warning", "asked to stop once more: ending everything now")
            return
        self.begin(
            exit_code=0, failure=None, delay=self._roster.policy.drain_delay if self._roster.state is not ClusterState.STARTING else 0.0
        )
        self._now = event.now

    def begin(self, *, exit_code: int, failure: Failure | None, delay: float = 0.0) -> None:
        """Begin to stop, to leave with this exit code in the end. `failure` says why, if nobody asked for it."""
        if self._roster.state is ClusterState.STOPPING:
            return
        self._roster.enter(ClusterStep.STOP)
        self._code = exit_code
        self._failure = failure
        self.drain_at = self._roster.now + delay
        if failure is not None:
            self._roster.report("error", failure.problem, failure)
        self._requests.give_up(STOPPING)
        self._roster.reload = None

    def settle(self) -> None:
        """End who is next to be ended, and the cluster once nobody is left."""
        roster = self._roster
        if not self._listeners_closed:
            self._listeners_closed = True
            roster.out.append(CloseListeners())
        if self._now:
            for process in list(roster.processes.values()):
                roster.end_now(process)
        if all(self._is_rid_of(role) for role in (Role.WORKER, Role.AGENT, Role.NEST)):
            roster.enter(ClusterStep.ALL_GONE)
            for request in self._waiters:
                roster.answer(request, f"stopped, {roster.killed} killed" if roster.killed else "stopped")
            roster.out.append(Exit(code=self._code, killed=roster.killed, failure=self._failure))

    def _is_rid_of(self, role: Role) -> bool:
        """Have all of a role leave; return whether they have."""
        for process in [process for process in self._roster.processes.values() if process.role is role and not process.is_leaving]:
            self._roster.dismiss(process, closing=True)
        return all(process.role is not role for process in self._roster.processes.values())
