"""Everything the supervisor remembers, and the moves that keep it in order: each takes care of seats, states and commands together.

It decides nothing about what should be. Pure, like all of the supervisor.
"""

from __future__ import annotations

from itertools import count

from tamago.cluster.children import Generation, Process, Reload, Seat
from tamago.cluster.events import Answer, Command, Drain, EnterState, Failure, Kill, Report, SetSlots, Terminate
from tamago.cluster.policy import DUMP_GRACE, KILL_PATIENCE, NEST_PATIENCE, Policy
from tamago.cluster.states import CLUSTER_TRANSITIONS, ClusterState, ClusterStep, ProcessState, ProcessStep, advance
from tamago.types import Role

P = ProcessState


class Roster:
    """Who there is, in which seats and generations, and what has been commanded while `now` is taken in."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.now = 0.0
        self.out: list[Command] = []
        self.state = ClusterState.STARTING
        self.processes: dict[int, Process] = {}
        self.agent_seat = Seat(Role.AGENT, 0) if policy.agent else None
        self.worker_seats: dict[int, Seat] = {}
        self.generations: dict[int, Generation] = {}
        self.serving = 0  # the generation that serves; during a reload the old one
        self.reload: Reload | None = None
        self.killed = 0
        self._peers = count(1)
        self._numbers = count(1)

    @property
    def slots(self) -> int:
        """The number of worker slots."""
        return len(self.worker_seats)

    @property
    def seats(self) -> list[Seat]:
        """The agent's seat, if there is an agent, then the slots in order."""
        agent = [self.agent_seat] if self.agent_seat else []
        return agent + [self.worker_seats[slot] for slot in sorted(self.worker_seats)]

    def open_generation(self) -> Generation:
        """Begin a new generation."""
        generation = Generation(next(self._numbers))
        self.generations[generation.number] = generation
        return generation

    def new_process(self, role: Role, slot: int, generation: int, due: float) -> Process:
        """Decide that there shall be a process, not before `due`."""
        process = Process(peer=next(self._peers), role=role, slot=slot, generation=generation, due=due)
        self.processes[process.peer] = process
        return process

    def set_slots(self, wanted: int) -> None:
        """Have slots 1..wanted; who sits in others leaves."""
        for slot in range(self.slots + 1, wanted + 1):
            self.worker_seats[slot] = Seat(Role.WORKER, slot)
        for slot in range(self.slots, wanted, -1):
            seat = self.worker_seats.pop(slot)
            for request, _ in seat.waiters:
                self.answer(request, "removed", Failure(problem=f"slot {slot} was removed", hint=f"there are slots 1 to {wanted}"))
            for process in (seat.successor, seat.current):
                if process is not None:
                    self.dismiss(process)
        self.out.append(SetSlots(count=wanted))

    def seat_of(self, process: Process) -> Seat | None:
        """Return the seat the process holds or is about to hold."""
        seat = self.agent_seat if process.role is Role.AGENT else self.worker_seats.get(process.slot)
        if process.role is Role.NEST or seat is None or process not in {seat.current, seat.successor}:
            return None
        return seat

    def vacate(self, process: Process) -> None:
        """Take a process out of its place."""
        if process.role is Role.NEST:
            generation = self.generations.get(process.generation)
            if generation is not None and generation.nest is process:
                generation.nest = None
        elif seat := self.seat_of(process):
            seat.vacate(process)

    def forget(self, process: Process) -> None:
        """Strike out a process that is gone."""
        if process.role is Role.NEST:
            self.vacate(process)  # others were taken out of their seat when they began to leave
        del self.processes[process.peer]

    def dismiss(self, process: Process, *, closing: bool = False) -> None:
        """Have a process leave, in the way its state allows. The caller has taken it out of its seat."""
        match process.state:
            case P.WAITING:
                process.step(ProcessStep.DISMISS)
                self.forget(process)
            case P.FORKING:
                process.step(ProcessStep.DISMISS)
            case P.BOOTING | P.READY:
                gently = process.state is P.READY and process.role is not Role.NEST
                process.step(ProcessStep.DRAIN)
                stop_timeout = self.policy.stop_timeout
                process.deadline = self.now + (min(stop_timeout, NEST_PATIENCE) if process.role is Role.NEST else stop_timeout)
                self.out.append(Drain(process=process.peer, closing=closing) if gently else Terminate(process=process.peer))
            case _:
                return

    def end_now(self, process: Process) -> None:
        """Have a process leave without finishing anything."""
        if process.state is P.WAITING or process.state is P.FORKING:
            self.dismiss(process)
        elif process.state is not P.KILLING:
            self.count_killed(process)
            process.step(ProcessStep.KILL)
            self.kill(process)
        elif process.pid and process.deadline is not None and not process.kill_sent:
            # It writes its stacks, or it was called back and given as long as any other.
            process.deadline = min(process.deadline, self.now + DUMP_GRACE)

    def kill(self, process: Process) -> None:
        """Send SIGKILL to a process that is in KILLING, as soon as there is a pid to send it to."""
        process.kill_sent = True
        process.deadline = self.now + KILL_PATIENCE
        if process.pid:
            self.out.append(Kill(process=process.peer))

    def count_killed(self, process: Process) -> None:
        """Count, while stopping, who had work to finish and was not given, or did not take, the time."""
        self.killed += self.state is ClusterState.STOPPING and process.role is not Role.NEST

    def enter(self, step: ClusterStep) -> None:
        """Move the cluster along its table."""
        before = self.state
        self.state = advance(CLUSTER_TRANSITIONS, self.state, step)
        if self.state is not before:
            self.out.append(EnterState(state=self.state))

    def report(self, level: str, text: str, failure: Failure | None = None) -> None:
        """Write to the log."""
        self.out.append(Report(level=level, text=text, failure=failure))

    def answer(self, request: int, text: str, failure: Failure | None = None) -> None:
        """Answer a request, if there is somebody who waits for it."""
        if request:
            self.out.append(Answer(request=request, text=text, failure=failure))
