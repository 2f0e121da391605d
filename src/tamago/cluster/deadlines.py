"""The moments at which something is due although nothing happens. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from tamago.cluster.roster import Roster
from tamago.cluster.states import ClusterState, ProcessState
from tamago.cluster.stopping import Stopping


def moments(roster: Roster, stopping: Stopping) -> Iterator[float]:
    """Yield all of them, in no order; one may have passed already."""
    if roster.state is ClusterState.STOPPING and stopping.drain_at > roster.now:
        yield stopping.drain_at
    if roster.state in {ClusterState.READY, ClusterState.RELOADING}:
        # A seat in a pause may want a successor once it is over.
        yield from (seat.due for seat in roster.seats if seat.due > roster.now)
    for process in roster.processes.values():
        if process.state is ProcessState.WAITING:
            # Who is due and still waits, waits for its nest or for the agent, not for a moment.
            if process.due > roster.now:
                yield process.due
        elif process.deadline is not None:
            yield process.deadline
        if process.is_cut_off and process.lost_at is not None:
            yield process.lost_at
