"""Who sits where: the agent's seat, the workers' slots, and who is meant by an address. Pure.

Messages are addressed to seats; the processes in them come and go.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from tamago.cluster.attached import Attached
from tamago.cluster.frame_runs import Run
from tamago.cluster.waiting import Waiting, WaitingLine
from tamago.ipc.wire import Route
from tamago.types import Role

_AGENT, _APP, _ALL, _PEER, _SLOT, _PID = map(int, (Route.AGENT, Route.APP, Route.ALL, Route.PEER, Route.SLOT, Route.PID))


class Seat:
    """Where messages are addressed to: the agent's, or a slot. Whoever is active in it gets them."""

    __slots__ = ("active", "line", "name")

    def __init__(self, name: str) -> None:
        self.name = name
        self.active: Attached | None = None
        self.line = WaitingLine()


class Seating:
    """All seats of a cluster, and all attached processes.

    `choose(n)` picks one of n ready workers; `busy(peer)` says that a worker does not keep up and another is better.
    """

    def __init__(self, *, agent: bool, choose: Callable[[int], int], busy: Callable[[Attached], bool]) -> None:
        self.peers: dict[int, Attached] = {}
        self.agent = Seat("the agent") if agent else None
        self.workers: list[Seat] = []
        # Invariant: the seats that a route means by itself; the list of workers is the one above.
        agents = [self.agent] if self.agent is not None else []
        self._by_route = {_AGENT: agents, _APP: self.workers, _ALL: agents}
        self.anyone = Seat("any worker")
        """Where a message for one worker waits while none is up; nobody ever sits here."""
        # Invariant: the active workers, by slot.
        self._ready: list[Attached] = []
        self._choose = choose
        self._busy = busy

    def set_slots(self, count: int) -> list[tuple[Seat, list[Waiting]]]:
        """Let the worker seats be 1..count; return the seats that went, with what waited there."""
        for number in range(len(self.workers) + 1, count + 1):
            self.workers.append(Seat(f"worker {number}"))
        gone: list[tuple[Seat, list[Waiting]]] = []
        while len(self.workers) > count:
            seat = self.workers[-1]
            if seat.active is not None:
                self.leave(seat.active)
            self.workers.pop()
            gone.append((seat, seat.line.take_all()))
        self._by_route[_ALL] = [*self._by_route[_AGENT], *self.workers]
        return gone

    def sit(self, peer: Attached) -> Seat | None:
        """Put a process into its seat, in place of whoever sits there; None if it has no seat or has it already."""
        seat = self.seat_of(peer)
        if seat is None or seat.active is peer:
            return None
        if seat.active is not None:
            self.leave(seat.active)
        seat.active = peer
        if peer.role is Role.WORKER:
            self._ready.append(peer)
            self._ready.sort(key=_slot)
        return seat

    def leave(self, peer: Attached) -> None:
        """Free the seat of a process, if it sits there."""
        seat = self.seat_of(peer)
        if seat is not None and seat.active is peer:
            seat.active = None
            if peer in self._ready:
                self._ready.remove(peer)

    def seats_for(self, run: Run) -> list[Seat] | None:
        """Return the seats a message is for, or None when a child may not send there."""
        if run.route == _SLOT:
            return self.workers[run.slot - 1 : run.slot] if run.slot else []
        return self._by_route.get(run.route)

    def process(self, run: Run) -> Attached | None:
        """Return the process that is meant by PEER or PID, if it is there."""
        if run.route == _PEER:
            peer = self.peers.get(run.to)
            return peer if peer is not None and peer.role is not Role.NEST else None
        for peer in self.peers.values():
            if peer.pid == run.to and peer.pid and peer.role is not Role.NEST:  # 0: not forked yet
                return peer
        return None

    def any_ready(self) -> Attached | None:
        """Pick a worker, if possible one that keeps up."""
        ready = self._ready
        if not ready:
            return None
        first = self._choose(len(ready))
        for step in range(len(ready)):
            peer = ready[(first + step) % len(ready)]
            if not self._busy(peer):
                return peer
        return ready[first]

    def seat_of(self, peer: Attached) -> Seat | None:
        """Return the seat a process is made for."""
        if peer.role is Role.AGENT:
            return self.agent
        if peer.role is Role.WORKER and 0 < peer.slot <= len(self.workers):
            return self.workers[peer.slot - 1]
        return None

    def seats(self) -> Iterable[Seat]:
        """Return all seats, the one for anyone last."""
        if self.agent is not None:
            yield self.agent
        yield from self.workers
        yield self.anyone


def nobody(run: Run) -> str:
    """Say why an address means nobody."""
    if run.route == _PID:
        return f"no process of this cluster has the pid {run.to}"
    if run.route == _SLOT:
        return f"there is no worker {run.slot}"
    if run.route == _AGENT:
        return "this cluster runs without an agent"
    return "the process is gone"


def _slot(peer: Attached) -> int:
    return peer.slot
