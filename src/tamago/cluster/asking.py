"""Who asked for something and waits for an answer: scale, kick, restart-agent, and reloads that have to wait for another one."""

from __future__ import annotations

from dataclasses import replace

from tamago.cluster.children import Generation, Seat
from tamago.cluster.events import AgentRestartRequested, Failure, KickRequested, ReloadRequested, ScaleRequested
from tamago.cluster.roster import Roster
from tamago.cluster.states import ClusterState, ProcessState
from tamago.types import Role

P = ProcessState
STOPPING = Failure(problem="the cluster is stopping", hint="start it again with `tamago start`")

Request = ScaleRequested | KickRequested | AgentRestartRequested


class Requests:
    """Takes requests, keeps those whose time has not come, and answers each exactly once."""

    def __init__(self, roster: Roster) -> None:
        self._roster = roster
        self._queue: list[Request] = []
        self._scaling: list[int] = []
        self._next_reload: ReloadRequested | None = None
        self._reload_requests: list[int] = []

    def queue_reload(self, event: ReloadRequested) -> None:
        """Remember that a reload is wanted after what is under way.

        However many ask meanwhile, one more reload gives all of them what they want: code read after they asked.
        """
        before = self._next_reload.workers if self._next_reload is not None else 0
        self._next_reload = replace(event, workers=event.workers or before)
        self._reload_requests.append(event.request)

    def next_reload(self) -> tuple[ReloadRequested, list[int]] | None:
        """Take the reload that waits, with all who asked for it."""
        if self._next_reload is None:
            return None
        event, requests = self._next_reload, self._reload_requests
        self._next_reload, self._reload_requests = None, []
        return event, requests

    def take_queued(self) -> None:
        """Do what had to wait."""
        queue, self._queue = self._queue, []
        for event in queue:
            self.take(event)

    def take(self, event: Request) -> None:
        """Do it, or keep it until nothing else is under way."""
        if self._roster.state is ClusterState.STOPPING:
            self._roster.answer(event.request, "refused", STOPPING)
        elif self._roster.state is not ClusterState.READY:
            self._queue.append(event)
        elif isinstance(event, ScaleRequested):
            self._scale(event)
        elif isinstance(event, KickRequested):
            self._renew(self._roster.worker_seats.get(event.slot), f"slot {event.slot}", event.request)
        else:
            self._renew(self._roster.agent_seat, "agent", event.request)

    def _scale(self, event: ScaleRequested) -> None:
        wanted = max(1, self._roster.slots + event.workers) if event.relative else event.workers
        if wanted < 1:
            failure = Failure(problem=f"a cluster has at least 1 worker, not {wanted}", hint="`tamago stop` ends it")
            self._roster.answer(event.request, "refused", failure)
            return
        self._roster.set_slots(wanted)
        self._scaling.append(event.request)

    def _renew(self, seat: Seat | None, name: str, request: int) -> None:
        if seat is None:
            hint = f"there are slots 1 to {self._roster.slots}" if name != "agent" else "it was started with --no-agent"
            self._roster.answer(request, "refused", Failure(problem=f"there is no {name}", hint=hint))
            return
        current = seat.current
        if current is not None and current.state is P.READY:
            seat.renew = seat.renew or "asked for"
            seat.waiters.append((request, current.peer))
            return
        if current is not None and current.state is P.WAITING:
            current.due = self._roster.now
        seat.waiters.append((request, 0))

    def tell_who_waits(self, place: Seat | Generation | None, failure: Failure) -> None:
        """Tell those who wait for somebody new in a seat; without a nest nobody new comes anywhere."""
        if isinstance(place, Seat):
            place.deaths += 1
            place.last_death = failure.problem
            self._answer_waiters_of(place, failure)
        else:
            for seat in self._roster.seats:
                self._answer_waiters_of(seat, failure)
        if self._roster.reload is not None and self._roster.reload.failure is not None:
            self.give_up(failure)  # even going back fails: that may take for ever

    def _answer_waiters_of(self, seat: Seat, failure: Failure) -> None:
        for request, _ in seat.waiters:
            self._roster.answer(request, "failed", failure)
        if seat.waiters:
            seat.waiters.clear()
            seat.renew = ""
        if seat.role is Role.WORKER:
            for request in self._scaling:
                self._roster.answer(request, "failed", failure)
            self._scaling.clear()

    def give_up(self, failure: Failure) -> None:
        """Tell everybody who waits, but for a stop, that it will not be."""
        if self._roster.reload is not None:
            for request in self._roster.reload.requests:
                self._roster.answer(request, "given up", self._roster.reload.failure or failure)
            self._roster.reload.requests.clear()
        waiting = [*self._reload_requests, *self._scaling, *(event.request for event in self._queue)]
        waiting += [request for seat in self._roster.seats for request, _ in seat.waiters]
        for request in waiting:
            self._roster.answer(request, "given up", failure)
        for seat in self._roster.seats:
            seat.waiters.clear()
        self._reload_requests.clear()
        self._scaling.clear()
        self._queue.clear()

    def settle(self) -> None:
        """Answer whose wish has come true."""
        for seat in self._roster.seats:
            current = seat.current
            if seat.waiters and current is not None and current.is_serving:
                for request, replaced in list(seat.waiters):
                    if current.peer != replaced:
                        seat.waiters.remove((request, replaced))
                        self._roster.answer(request, f"{current.to_log()} is ready")
        if self._scaling and all(seat.is_served for seat in self._roster.worker_seats.values()):
            self._roster.report("info", f"there are {self._roster.slots} workers")
            for request in self._scaling:
                self._roster.answer(request, f"{self._roster.slots} workers")
            self._scaling.clear()
