"""Replacing a generation by the next one, whole, or not at all. The step by step replacing itself is `settling.replace_the_old`."""

from __future__ import annotations

from tamago.cluster.children import Reload
from tamago.cluster.events import Failure
from tamago.cluster.roster import Roster
from tamago.cluster.states import ClusterStep, ProcessState

P = ProcessState


def begin(roster: Roster, requests: list[int], workers: int) -> None:
    """Open the next generation. `workers` is the number of slots to have once it serves (0: as now)."""
    roster.enter(ClusterStep.RELOAD)
    for seat in roster.seats:
        # A replacement of the old generation that is not up yet would only be replaced again.
        if seat.successor is not None:
            successor, seat.successor = seat.successor, None
            roster.dismiss(successor)
        seat.due = roster.now  # the pause after a death of the old code is not for the new code
    roster.reload = Reload(roster.open_generation(), requests, workers)


def roll_back(roster: Roster, reload: Reload, failure: Failure) -> None:
    """Give up the new generation. Those of it that serve go on until one of the old generation is ready in their seat."""
    reload.failure = failure
    roster.report("error", f"reload failed, the old generation serves on: {failure.problem}", failure)
    incoming = roster.generations.pop(reload.incoming.number)
    for seat in roster.seats:
        for process in (seat.successor, seat.current):
            if process is not None and process.generation == incoming.number and process.state is not P.READY:
                seat.vacate(process)
                roster.dismiss(process)
        if seat.successor is not None and seat.successor.generation == incoming.number:
            successor, seat.successor = seat.successor, None
            roster.dismiss(successor)
        seat.due = roster.now
    if incoming.nest is not None:
        roster.dismiss(incoming.nest)


def settle(roster: Roster) -> None:
    """End the reload once every seat is of one generation: the new one, or after a failure the old one."""
    reload = roster.reload
    if reload is None:
        return
    if reload.failure is None:
        if all(seat.serves(reload.incoming.number) for seat in roster.seats):
            _commit(roster, reload)
    elif all(seat.current is not None and seat.current.generation == roster.serving for seat in roster.seats):
        _end(roster, ClusterStep.ROLLED_BACK, reload, "rolled back")


def _commit(roster: Roster, reload: Reload) -> None:
    old = roster.generations.pop(roster.serving)
    roster.serving = reload.incoming.number
    if old.nest is not None:
        roster.dismiss(old.nest)
    if reload.workers:
        roster.set_slots(reload.workers)
    for seat in roster.seats:
        seat.failures.count = 0
    text = f"generation {roster.serving} serves"
    roster.report("info", text)
    _end(roster, ClusterStep.RELOADED, reload, text)


def _end(roster: Roster, step: ClusterStep, reload: Reload, text: str) -> None:
    roster.reload = None
    roster.enter(step)
    for request in reload.requests:
        roster.answer(request, text, reload.failure)
