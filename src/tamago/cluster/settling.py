"""What should be, against what is: asks for whoever is missing, replaces who is out of date, gives seats to who is ready.

Each function compares and closes the gap by a step; called again after every event, they lead the cluster to where it should be from
wherever it is.
"""

from __future__ import annotations

from tamago.cluster.children import Generation, Process, Seat
from tamago.cluster.events import Activate, Fork, StartMode, StartNest, TellReady
from tamago.cluster.policy import FORK_PATIENCE
from tamago.cluster.roster import Roster
from tamago.cluster.states import ClusterState, ProcessState, ProcessStep
from tamago.types import Role

P = ProcessState


def fill_vacancies(roster: Roster) -> None:
    """Have somebody in every seat and a nest for every generation that needs one, or at least somebody who is due."""
    serving = roster.generations.get(roster.serving)
    wanted = [serving] if serving else []
    if roster.reload is not None and roster.reload.failure is None:
        wanted.append(roster.reload.incoming)
    for generation in wanted:
        if generation.nest is None:
            generation.nest = roster.new_process(Role.NEST, 0, generation.number, generation.due)
    for seat in roster.seats:
        if seat.current is None and serving is not None:
            seat.current = roster.new_process(seat.role, seat.slot, roster.serving, seat.due)


def replace_the_old(roster: Roster) -> None:
    """Give a successor to whoever is of the wrong generation or is to be renewed, and the seat to a successor that is ready."""
    reload = roster.reload
    incoming = reload.incoming if reload is not None and reload.failure is None else None
    if incoming is not None and not incoming.can_fork:
        return
    goal = roster.serving if incoming is None else incoming.number
    for seat in roster.seats:
        if seat.successor is not None:
            if seat.successor.state is P.READY:
                _promote(roster, seat)
        elif _wants_successor(roster, seat, goal):
            if seat.role is Role.WORKER and incoming is not None:
                _end_oldest(roster, incoming)
            seat.successor = roster.new_process(seat.role, seat.slot, goal, seat.due)
        # The new workers boot with the new agent.
        if seat.role is Role.AGENT and reload is not None and not seat.serves(goal):
            return


def _wants_successor(roster: Roster, seat: Seat, goal: int) -> bool:
    # A seat whose successor failed a moment ago makes room for the others until its pause is over.
    if seat.current is None or seat.due > roster.now:
        return False
    if seat.current.generation == goal and (roster.reload is not None or not seat.renew):
        return False
    batch = roster.policy.reload_batch if roster.reload is not None else 1
    return seat.role is Role.AGENT or sum(other.successor is not None for other in roster.worker_seats.values()) < batch


def _end_oldest(roster: Roster, incoming: Generation) -> None:
    # Not when the reload begins: while the new code is imported and its agent boots, most of what is in flight gets finished.
    for process in roster.processes.values():
        if process.state is P.DRAINING and process.generation not in {roster.serving, incoming.number}:
            roster.report("warning", f"{process.to_log()} is two generations old: it finishes now")
            process.step(ProcessStep.KILL)
            roster.kill(process)


def _promote(roster: Roster, seat: Seat) -> None:
    old, seat.current, seat.successor, seat.renew = seat.current, seat.successor, None, ""
    activate(roster)  # before the old one goes, so that its slot's messages always have a receiver
    if old is not None:
        roster.dismiss(old)


def start_who_is_due(roster: Roster) -> None:
    """Ask for every process whose time has come and whose nest takes orders. While starting, workers wait for the agent."""
    agent_up = roster.agent_seat is None or roster.agent_seat.is_served
    for process in roster.processes.values():
        if process.state is not P.WAITING or process.due > roster.now:
            continue
        if process.role is Role.NEST:
            process.step(ProcessStep.FORK)
            process.deadline = roster.now + FORK_PATIENCE
            roster.out.append(StartNest(process=process.peer, generation=process.generation))
        elif process.role is Role.AGENT or agent_up or roster.state is not ClusterState.STARTING:
            _fork(roster, process)


def _fork(roster: Roster, process: Process) -> None:
    generation = roster.generations[process.generation]
    if not generation.can_fork or generation.nest is None:
        return
    process.step(ProcessStep.FORK)
    process.deadline = roster.now + FORK_PATIENCE
    process.asked_of = generation.nest
    roster.out.append(
        Fork(
            process=process.peer,
            role=process.role,
            slot=process.slot,
            generation=process.generation,
            nest=generation.nest.peer,
            mode=generation.mode or StartMode.FORK,
        )
    )


def activate(roster: Roster) -> None:
    """Give each seat's messages to who is ready in it, and tell it, once, that the cluster is. One agent at most is active."""
    for seat in roster.seats:
        current = seat.current
        if current is None or current.state is not P.READY:
            continue
        if not current.active and not _another_agent_is_active(roster, current):
            current.active = True
            roster.out.append(Activate(process=current.peer))
        if current.active and not current.ready_told and roster.state is not ClusterState.STARTING:
            current.ready_told = True
            roster.out.append(TellReady(process=current.peer))


def _another_agent_is_active(roster: Roster, process: Process) -> bool:
    return process.role is Role.AGENT and any(
        other.active and other is not process for other in roster.processes.values() if other.role is Role.AGENT
    )
