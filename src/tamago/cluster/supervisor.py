"""Decides everything about the cluster and does nothing: events go in, commands come out.

Each event changes the records; then `_settle` compares what is with what should be and asks for the difference. So there is no
script that could lose its place: whatever dies or comes late in between, the next comparison starts from the facts.
The shell (`master.py`) turns system calls into events and commands into system calls; tests put a simulated world there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from itertools import count
from typing import assert_never

from tamago.cluster.children import Generation, Process, Reload, Seat, describe_status, hint_for_status
from tamago.cluster.events import (
    Activate,
    AgentRestartRequested,
    Answer,
    ChannelLost,
    CloseListeners,
    Command,
    Drain,
    DumpStacks,
    EnterState,
    Event,
    Exit,
    Failure,
    Fork,
    ForkFailed,
    KickRequested,
    Kill,
    NestImported,
    ProcessBooted,
    ProcessExited,
    ProcessFailed,
    ProcessForked,
    ProcessHung,
    ProcessMisbehaved,
    RecycleDue,
    ReloadRequested,
    Report,
    ScaleRequested,
    SetSlots,
    StartMode,
    StartNest,
    StartRequested,
    StopRequested,
    TellReady,
    Terminate,
    TimePassed,
)
from tamago.cluster.policy import (
    CHANNEL_GRACE,
    DUMP_GRACE,
    FAILED_GRACE,
    FORK_PATIENCE,
    KILL_PATIENCE,
    NEST_PATIENCE,
    Policy,
    RestartBudget,
    restart_pause,
)
from tamago.cluster.states import CLUSTER_TRANSITIONS, ClusterState, ClusterStep, ProcessState, ProcessStep, advance
from tamago.types import Role

P = ProcessState
_STOPPING = Failure(problem="the cluster is stopping", hint="start it again with `tamago start`")


class Supervisor:
    """Folds events into the state of the cluster; see the module's docstring.

    `random` returns a float in 0..1 and spreads the restart pauses.
    """

    def __init__(self, policy: Policy, *, random: Callable[[], float]) -> None:
        self._policy = policy
        self._random = random
        self._now = 0.0
        self._out: list[Command] = []
        self._peers = count(1)
        self._numbers = count(1)
        self._state = ClusterState.STARTING
        self._processes: dict[int, Process] = {}
        self._agent_seat = Seat(Role.AGENT, 0) if policy.agent else None
        self._worker_seats: dict[int, Seat] = {}
        self._generations: dict[int, Generation] = {}
        self._serving = 0
        self._reload: Reload | None = None
        self._next_reload: ReloadRequested | None = None
        self._next_reload_requests: list[int] = []
        self._queue: list[ScaleRequested | KickRequested | AgentRestartRequested] = []
        self._scale_waiters: list[int] = []
        self._budget = RestartBudget(policy.max_restarts, policy.max_restarts_period)
        self._stop_waiters: list[int] = []
        self._stop_now = False
        self._drain_at = 0.0
        self._listeners_closed = False
        self._exit_code = 0
        self._exit_failure: Failure | None = None
        self._killed = 0

    # ── what others may know ─────────────────────────────────────────────────────────────────────────────────────────

    @property
    def state(self) -> ClusterState:
        """The cluster's state."""
        return self._state

    @property
    def processes(self) -> Mapping[int, Process]:
        """Everybody who is not gone, by peer id. Not to be changed."""
        return self._processes

    @property
    def slots(self) -> int:
        """The number of worker slots."""
        return len(self._worker_seats)

    @property
    def generation(self) -> int:
        """The generation that serves; during a reload the old one."""
        return self._serving

    @property
    def seats(self) -> list[Seat]:
        """The agent's seat, if there is an agent, then the slots in order. Not to be changed."""
        agent = [self._agent_seat] if self._agent_seat else []
        return agent + [self._worker_seats[slot] for slot in sorted(self._worker_seats)]

    @property
    def degraded(self) -> bool:
        """Whether the cluster is up but somebody is missing."""
        return self._state in {ClusterState.READY, ClusterState.RELOADING} and not all(
            seat.current is not None and seat.current.is_serving for seat in self.seats
        )

    @property
    def next_deadline(self) -> float | None:
        """When to send `TimePassed`. It may have passed already: then at once, after what else has come in."""
        return min(self._moments(), default=None)

    def use(self, policy: Policy) -> None:
        """Take a new policy, after a reload read new settings. The number of workers is not taken from it."""
        self._policy = policy

    def handle(self, event: Event, *, now: float) -> list[Command]:
        """Take in one event; return what must be done about it, in order. `now` is monotonic, in seconds."""
        self._now = now
        self._out = []
        self._take(event)
        # Settling may make more of itself possible (a promotion frees a place in the batch), so until nothing changes.
        while self._state is not ClusterState.STOPPED:
            done = len(self._out)
            self._settle()
            if len(self._out) == done:
                break
        return self._out

    # ── events ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def _take(self, event: Event) -> None:
        match event:
            case StartRequested():
                self._open_generation()
                self._serving = 1
                self._set_slots(self._policy.workers)
            case TimePassed():
                # Nowhere else: after the master was stopped for a while, what all the others said meanwhile is heard first.
                self._settle_deadlines()
            case ReloadRequested():
                self._take_reload(event)
            case ScaleRequested() | KickRequested() | AgentRestartRequested():
                self._take_request(event)
            case StopRequested():
                self._take_stop(event)
            case _:
                # Who is gone has been forgotten; what was still on its way from it concerns nobody.
                if process := self._processes.get(event.process):
                    self._take_from(process, event)

    def _take_from(
        self,
        process: Process,
        event: ProcessForked
        | ForkFailed
        | NestImported
        | ProcessBooted
        | ProcessFailed
        | ProcessExited
        | ProcessHung
        | ProcessMisbehaved
        | ChannelLost
        | RecycleDue,
    ) -> None:
        match event:
            case ProcessForked():
                self._forked(process, event.pid)
            case ForkFailed():
                self._fork_failed(process, event)
            case NestImported() | ProcessBooted():
                self._introduced(process, event)
            case ProcessFailed():
                self._failed(process, event.failure)
            case ProcessExited():
                self._exited(process, event.status)
            case ProcessHung():
                self._hung(process, event)
            case ProcessMisbehaved():
                self._misbehaved(process, event.reason)
            case ChannelLost():
                self._lost_channel(process)
            case RecycleDue():
                self._recycle(process, event.reason)
            case _:
                assert_never(event)

    def _forked(self, process: Process, pid: int) -> None:
        process.pid = pid
        process.step(ProcessStep.FORKED)
        if process.state is P.KILLING:
            self._kill(process)
            return
        process.deadline = self._now + self._policy.boot_timeout
        if process.booted_early:
            self._booted(process)

    def _fork_failed(self, process: Process, event: ForkFailed) -> None:
        process.step(ProcessStep.FORK_FAILED)
        process.deadline = process.lost_at = None
        process.booted_early = False
        if process.state is P.GONE:
            self._forget(process)
            return
        process.due = self._now
        if event.nest_lost:
            # The nest's own end says what there is to say. Until it is reported, nobody is asked of it any more.
            if process.asked_of is not None:
                self._lost_channel(process.asked_of)
            return
        self._lost(
            process,
            Failure(
                problem=f"cannot start {process.to_log()}: {event.reason}",
                hint="look at the limits on processes and memory (`ulimit -u`, the cgroup's pids.max and memory.max)",
            ),
        )

    def _failed(self, process: Process, failure: Failure) -> None:
        if process.ready_at is not None:
            return  # it boots no more; why it dies one day is another story
        process.failure = process.failure or failure
        if process.state is P.BOOTING:
            process.deadline = min(process.deadline or self._now, self._now + FAILED_GRACE)

    def _introduced(self, process: Process, event: NestImported | ProcessBooted) -> None:
        if isinstance(event, NestImported) != (process.role is Role.NEST):
            self._misbehaved(process, "it claims to be what it is not")
            return
        generation = self._generations.get(process.generation)
        if isinstance(event, NestImported) and generation is not None and generation.nest is process:
            generation.mode = event.mode
        self._booted(process)

    def _booted(self, process: Process) -> None:
        if process.state is P.FORKING:
            process.booted_early = True
            return
        if process.state is P.READY:
            self._misbehaved(process, "it said twice that it booted")
            return
        if process.state is P.WAITING:
            return
        was_booting = process.state is P.BOOTING
        process.step(ProcessStep.BOOTED)
        if was_booting:
            process.deadline = None
            process.ready_at = self._now

    def _exited(self, process: Process, status: int) -> None:
        expected = process.is_leaving
        process.step(ProcessStep.EXIT)
        self._forget(process)
        if expected:
            clean = status == 0 or process.kill_sent or process.role is Role.NEST
            self._report("info" if clean else "warning", f"{process.to_log()} left: {describe_status(status)}")
            return
        failure = process.failure
        if failure is None:
            when = "while it was booting" if process.ready_at is None else f"after {process.ready_for(self._now):.1f} s"
            failure = Failure(problem=f"{process.to_log()} died {when}: {describe_status(status)}", hint=hint_for_status(status) or "its own last lines in the log say why")
        self._lost(process, failure)

    def _hung(self, process: Process, event: ProcessHung) -> None:
        # Before it is ready the boot timeout watches it, and when it drains the stop timeout does.
        if process.state is P.READY:
            text = f"{process.to_log()} hangs: its {event.what} has been blocked for {event.seconds:.0f} s"
            self._doom(process, Failure(problem=text, hint="the stacks in the log show where"), dump=True)

    def _misbehaved(self, process: Process, reason: str) -> None:
        if process.state is P.DRAINING:
            self._count_killed(process)
            process.step(ProcessStep.KILL)
            self._kill(process)
        elif not process.is_leaving and process.pid:
            self._doom(process, Failure(problem=f"{process.to_log()} is replaced: {reason}"))

    def _lost_channel(self, process: Process) -> None:
        if process.state is not P.WAITING and not process.is_leaving and process.lost_at is None:
            process.lost_at = self._now + CHANNEL_GRACE

    def _recycle(self, process: Process, reason: str) -> None:
        seat = self._seat_of(process)
        if seat is not None and seat.current is process and process.state is P.READY and not seat.renew:
            seat.renew = reason
            self._report("info", f"{process.to_log()} will be replaced: {reason}")

    # ── deaths ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def _doom(self, process: Process, failure: Failure, *, dump: bool = False) -> None:
        """Decide the end of a process that still lives, and treat it as lost from now on."""
        process.step(ProcessStep.KILL)
        if dump and process.pid:
            self._out.append(DumpStacks(process=process.peer))
            process.deadline = self._now + DUMP_GRACE
        else:
            self._kill(process)
        self._lost(process, failure)

    def _lost(self, process: Process, failure: Failure) -> None:
        """Do what an unexpected death asks for: end the start, roll back, or replace."""
        reload = self._reload
        if self._state is ClusterState.STARTING:
            self._vacate(process)
            self._stop(exit_code=1, failure=failure)
        elif reload is not None and process.generation == reload.incoming.number:
            self._vacate(process)
            if process.state is P.WAITING:
                self._dismiss(process)
            if reload.failure is None:
                self._roll_back(reload, failure)
        elif self._state is not ClusterState.STOPPED:
            self._replace(process, failure)

    def _replace(self, process: Process, failure: Failure) -> None:
        place = self._seat_of(process) or self._generations.get(process.generation)
        pause = 0.0
        if place is not None:
            place.failures.add(ready_for=process.ready_for(self._now))
            pause = restart_pause(place.failures.count, self._random())
            place.due = self._now + pause
        self._answer_whom_it_concerns(place, failure)
        if process.state is not P.WAITING:
            self._vacate(process)
        elif isinstance(place, Seat) and place.successor is process:
            self._vacate(process)  # its fork failed; others get their turn while it pauses
            self._dismiss(process)
        else:
            process.due = self._now + pause  # its fork failed; it keeps its place
        if self._state is ClusterState.STOPPING:
            self._report("warning", failure.problem, failure)
            return
        self._report("error", f"{failure.problem}; next try {f'in {pause:.1f} s' if pause else 'now'}", failure)
        if self._budget.spend(self._now):
            text = f"more than {self._policy.max_restarts} processes died in {self._policy.max_restarts_period:g} s"
            self._stop(exit_code=1, failure=Failure(problem=f"giving up: {text} (--max-restarts)", hint=failure.problem))

    def _answer_whom_it_concerns(self, place: Seat | Generation | None, failure: Failure) -> None:
        """Tell those who wait for somebody new in a seat; without a nest nobody new comes anywhere."""
        if isinstance(place, Seat):
            place.deaths += 1
            place.last_death = failure.problem
            self._answer_waiters_of(place, failure)
        else:
            for seat in self.seats:
                self._answer_waiters_of(seat, failure)
        if self._reload is not None and self._reload.failure is not None:
            self._answer_all(failure)  # even going back fails: that may take for ever

    def _answer_waiters_of(self, seat: Seat, failure: Failure) -> None:
        for request, _ in seat.waiters:
            self._answer(request, "failed", failure)
        if seat.waiters:
            seat.waiters.clear()
            seat.renew = ""
        if seat.role is Role.WORKER:
            for request in self._scale_waiters:
                self._answer(request, "failed", failure)
            self._scale_waiters.clear()

    def _forget(self, process: Process) -> None:
        self._vacate_if_leaving(process)
        del self._processes[process.peer]

    def _vacate_if_leaving(self, process: Process) -> None:
        # A replaced process was taken out of its seat when it began to leave; this is for the nests, which have none.
        generation = self._generations.get(process.generation)
        if process.role is Role.NEST and process.is_leaving and generation is not None and generation.nest is process:
            generation.nest = None

    def _vacate(self, process: Process) -> None:
        if process.role is Role.NEST:
            generation = self._generations.get(process.generation)
            if generation is not None and generation.nest is process:
                generation.nest = None
        elif seat := self._seat_of(process):
            seat.vacate(process)

    def _seat_of(self, process: Process) -> Seat | None:
        """Return the seat the process holds or is about to hold."""
        seat = self._agent_seat if process.role is Role.AGENT else self._worker_seats.get(process.slot)
        if process.role is Role.NEST or seat is None or process not in {seat.current, seat.successor}:
            return None
        return seat

    # ── requests ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def _take_reload(self, event: ReloadRequested) -> None:
        if self._state is ClusterState.STOPPING:
            self._answer(event.request, "refused", _STOPPING)
        elif self._state is ClusterState.READY:
            self._begin_reload([event.request], event.workers)
        else:
            # However many ask meanwhile, one more reload gives all of them what they want: code read after they asked.
            before = self._next_reload.workers if self._next_reload is not None else 0
            self._next_reload = replace(event, workers=event.workers or before)
            self._next_reload_requests.append(event.request)

    def _take_request(self, event: ScaleRequested | KickRequested | AgentRestartRequested) -> None:
        if self._state is ClusterState.STOPPING:
            self._answer(event.request, "refused", _STOPPING)
        elif self._state is not ClusterState.READY:
            self._queue.append(event)
        elif isinstance(event, ScaleRequested):
            self._scale(event)
        elif isinstance(event, KickRequested):
            self._renew(self._worker_seats.get(event.slot), f"slot {event.slot}", event.request)
        else:
            self._renew(self._agent_seat, "agent", event.request)

    def _scale(self, event: ScaleRequested) -> None:
        wanted = max(1, self.slots + event.workers) if event.relative else event.workers
        if wanted < 1:
            failure = Failure(problem=f"a cluster has at least 1 worker, not {wanted}", hint="`tamago stop` ends it")
            self._answer(event.request, "refused", failure)
            return
        self._set_slots(wanted)
        self._scale_waiters.append(event.request)

    def _renew(self, seat: Seat | None, name: str, request: int) -> None:
        if seat is None:
            hint = f"there are slots 1 to {self.slots}" if name != "agent" else "it was started with --no-agent"
            self._answer(request, "refused", Failure(problem=f"there is no {name}", hint=hint))
            return
        current = seat.current
        if current is not None and current.state is P.READY:
            seat.renew = seat.renew or "asked for"
            seat.waiters.append((request, current.peer))
            return
        seat.due = self._now
        if current is not None and current.state is P.WAITING:
            current.due = self._now
        seat.waiters.append((request, 0))

    def _take_stop(self, event: StopRequested) -> None:
        self._stop_waiters.append(event.request)
        if event.timeout is not None:
            self._policy = replace(self._policy, stop_timeout=event.timeout)
        if self._state is ClusterState.STOPPING:
            self._stop_now = True
            self._report("warning", "asked to stop once more: ending everything now")
            return
        self._stop(exit_code=0, failure=None, delay=self._policy.drain_delay if self._state is not ClusterState.STARTING else 0.0)
        self._stop_now = event.now

    def _stop(self, *, exit_code: int, failure: Failure | None, delay: float = 0.0) -> None:
        if self._state is ClusterState.STOPPING:
            return
        self._enter(ClusterStep.STOP)
        self._exit_code = exit_code
        self._exit_failure = failure
        self._drain_at = self._now + delay
        if failure is not None:
            self._report("error", failure.problem, failure)
        self._answer_all(_STOPPING)
        self._next_reload = self._reload = None

    def _answer_all(self, failure: Failure) -> None:
        """Tell everybody who waits, but for a stop, that it will not be."""
        if self._reload is not None:
            for request in self._reload.requests:
                self._answer(request, "given up", self._reload.failure or failure)
            self._reload.requests.clear()
        waiting = [*self._next_reload_requests, *self._scale_waiters, *(event.request for event in self._queue)]
        waiting += [request for seat in self.seats for request, _ in seat.waiters]
        for request in waiting:
            self._answer(request, "given up", failure)
        for seat in self.seats:
            seat.waiters.clear()
        self._next_reload_requests.clear()
        self._scale_waiters.clear()
        self._queue.clear()

    # ── settling: what should be, against what is ────────────────────────────────────────────────────────────────────

    def _settle(self) -> None:
        if self._state is ClusterState.STOPPING and (self._stop_now or self._now >= self._drain_at):
            self._settle_stop()
            return
        self._settle_vacancies()
        if self._state is not ClusterState.STOPPING:
            self._settle_successions()
        self._settle_forks()
        self._settle_activation()
        self._settle_cluster()
        self._settle_waiters()

    def _settle_deadlines(self) -> None:
        for process in list(self._processes.values()):
            if process.is_cut_off and process.lost_at is not None and process.lost_at <= self._now:
                self._misbehaved(process, "it closed its channel and lives on")
            elif process.deadline is not None and process.deadline <= self._now:
                self._overdue(process)

    def _overdue(self, process: Process) -> None:
        if process.pid == 0:
            self._give_up_on_nest(process)
        elif process.state is P.BOOTING:
            text = f"{process.to_log()} did not get ready in {self._policy.boot_timeout:g} s"
            hint = "the stacks in the log show what it was doing; --boot-timeout gives it longer"
            self._doom(process, process.failure or Failure(problem=text, hint=hint), dump=True)
        elif process.state is P.DRAINING:
            self._report("warning", f"{process.to_log()} did not leave in time: killing it")
            self._count_killed(process)
            process.step(ProcessStep.KILL)
            self._kill(process)
        elif process.kill_sent and self._state is ClusterState.STOPPING:
            self._report("error", f"{process.to_log()} does not even die of SIGKILL; leaving it to the kernel")
            self._forget(process)
        else:
            self._kill(process)

    def _give_up_on_nest(self, process: Process) -> None:
        # A nest answers within milliseconds; one that does not is stopped or broken. Its end answers all that was asked of it.
        generation = self._generations.get(process.generation)
        process.deadline = self._now + FORK_PATIENCE
        if process.role is not Role.NEST and generation is not None and generation.nest is not None and generation.nest.pid:
            self._misbehaved(generation.nest, "it does not answer")

    def _settle_vacancies(self) -> None:
        serving = self._generations.get(self._serving)
        wanted = [serving] if serving else []
        if self._reload is not None and self._reload.failure is None:
            wanted.append(self._reload.incoming)
        for generation in wanted:
            if generation.nest is None:
                generation.nest = self._new_process(Role.NEST, 0, generation.number, generation.due)
        for seat in self.seats:
            if seat.current is None and serving is not None:
                seat.current = self._new_process(seat.role, seat.slot, self._serving, seat.due)

    def _settle_successions(self) -> None:
        reload = self._reload
        goal = self._serving
        if reload is not None and reload.failure is None:
            if not reload.incoming.can_fork:
                return
            goal = reload.incoming.number
        for seat in self.seats:
            if seat.successor is None:
                if self._wants_successor(seat, goal):
                    if seat.role is Role.WORKER and reload is not None and goal == reload.incoming.number:
                        self._end_oldest(reload.incoming)
                    seat.successor = self._new_process(seat.role, seat.slot, goal, seat.due)
            elif seat.successor.state is P.READY:
                self._promote(seat)
            # The new workers boot with the new agent.
            if seat.role is Role.AGENT and reload is not None and not self._is_settled(seat, goal):
                return

    def _wants_successor(self, seat: Seat, goal: int) -> bool:
        # A seat whose successor failed a moment ago makes room for the others until its pause is over.
        if seat.current is None or seat.due > self._now:
            return False
        if seat.current.generation == goal and (self._reload is not None or not seat.renew):
            return False
        batch = self._policy.reload_batch if self._reload is not None else 1
        return seat.role is Role.AGENT or sum(other.successor is not None for other in self._worker_seats.values()) < batch

    def _end_oldest(self, incoming: Generation) -> None:
        # Not when the reload begins: while the new code is imported and its agent boots, most of what is in flight gets finished.
        for process in self._processes.values():
            if process.state is P.DRAINING and process.generation not in {self._serving, incoming.number}:
                self._report("warning", f"{process.to_log()} is two generations old: it finishes now")
                process.step(ProcessStep.KILL)
                self._kill(process)

    def _is_settled(self, seat: Seat, goal: int) -> bool:
        current = seat.current
        return current is not None and current.generation == goal and current.is_serving and seat.successor is None

    def _promote(self, seat: Seat) -> None:
        old, seat.current, seat.successor, seat.renew = seat.current, seat.successor, None, ""
        self._settle_activation()  # before the old one goes, so that its slot's messages always have a receiver
        if old is not None:
            self._dismiss(old)

    def _settle_forks(self) -> None:
        agent_up = self._agent_seat is None or (self._agent_seat.current is not None and self._agent_seat.current.is_serving)
        for process in self._processes.values():
            if process.state is not P.WAITING or process.due > self._now:
                continue
            if process.role is Role.NEST:
                process.step(ProcessStep.FORK)
                process.deadline = self._now + FORK_PATIENCE
                self._out.append(StartNest(process=process.peer, generation=process.generation))
            elif process.role is Role.AGENT or agent_up or self._state is not ClusterState.STARTING:
                self._fork(process)

    def _fork(self, process: Process) -> None:
        generation = self._generations[process.generation]
        if not generation.can_fork or generation.nest is None:
            return
        process.step(ProcessStep.FORK)
        process.deadline = self._now + FORK_PATIENCE
        process.asked_of = generation.nest
        self._out.append(
            Fork(
                process=process.peer,
                role=process.role,
                slot=process.slot,
                generation=process.generation,
                nest=generation.nest.peer,
                mode=generation.mode or StartMode.FORK,
            )
        )

    def _settle_activation(self) -> None:
        for seat in self.seats:
            current = seat.current
            if current is None or current.state is not P.READY:
                continue
            if not current.active and not self._another_agent_is_active(current):
                current.active = True
                self._out.append(Activate(process=current.peer))
            if current.active and not current.ready_told and self._state is not ClusterState.STARTING:
                current.ready_told = True
                self._out.append(TellReady(process=current.peer))

    def _another_agent_is_active(self, process: Process) -> bool:
        return process.role is Role.AGENT and any(
            other.active and other is not process for other in self._processes.values() if other.role is Role.AGENT
        )

    def _settle_cluster(self) -> None:
        reload = self._reload
        if self._state is ClusterState.STARTING:
            if self._serving and all(self._is_settled(seat, self._serving) for seat in self.seats):
                self._enter(ClusterStep.ALL_READY)
                self._settle_activation()
                self._next()
        elif reload is not None and reload.failure is None:
            if all(self._is_settled(seat, reload.incoming.number) for seat in self.seats):
                self._commit(reload)
        elif reload is not None and all(seat.current is not None and seat.current.generation == self._serving for seat in self.seats):
            self._end_reload(ClusterStep.ROLLED_BACK, reload, "rolled back")

    def _settle_waiters(self) -> None:
        for seat in self.seats:
            current = seat.current
            if seat.waiters and current is not None and current.is_serving:
                for request, replaced in list(seat.waiters):
                    if current.peer != replaced:
                        seat.waiters.remove((request, replaced))
                        self._answer(request, f"{current.to_log()} is ready")
        if self._scale_waiters and all(seat.current is not None and seat.current.is_serving for seat in self._worker_seats.values()):
            self._report("info", f"there are {self.slots} workers")
            for request in self._scale_waiters:
                self._answer(request, f"{self.slots} workers")
            self._scale_waiters.clear()

    def _settle_stop(self) -> None:
        if not self._listeners_closed:
            self._listeners_closed = True
            self._out.append(CloseListeners())
        if self._stop_now:
            for process in list(self._processes.values()):
                self._end_now(process)
        for role in (Role.WORKER, Role.AGENT, Role.NEST):
            staying = [process for process in self._processes.values() if process.role is role]
            for process in staying:
                if not process.is_leaving:
                    self._dismiss(process, closing=True)
            if any(process.peer in self._processes for process in staying):
                return
        self._enter(ClusterStep.ALL_GONE)
        for request in self._stop_waiters:
            self._answer(request, f"stopped, {self._killed} killed" if self._killed else "stopped")
        self._out.append(Exit(code=self._exit_code, killed=self._killed, failure=self._exit_failure))

    # ── reload ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def _begin_reload(self, requests: list[int], workers: int) -> None:
        self._enter(ClusterStep.RELOAD)
        for seat in self.seats:
            # A replacement of the old generation that is not up yet would only be replaced again.
            if seat.successor is not None:
                successor, seat.successor = seat.successor, None
                self._dismiss(successor)
            seat.due = self._now  # the pause after a death of the old code is not for the new code
        self._reload = Reload(self._open_generation(), requests, workers)

    def _commit(self, reload: Reload) -> None:
        old = self._generations.pop(self._serving)
        self._serving = reload.incoming.number
        if old.nest is not None:
            self._dismiss(old.nest)
        if reload.workers:
            self._set_slots(reload.workers)
        for seat in self.seats:
            seat.failures.count = 0
        self._end_reload(ClusterStep.RELOADED, reload, f"generation {self._serving} serves")

    def _roll_back(self, reload: Reload, failure: Failure) -> None:
        reload.failure = failure
        self._report("error", f"reload failed, the old generation serves on: {failure.problem}", failure)
        incoming = self._generations.pop(reload.incoming.number)
        for seat in self.seats:
            for process in (seat.successor, seat.current):
                if process is not None and process.generation == incoming.number and process.state is not P.READY:
                    seat.vacate(process)
                    self._dismiss(process)
            if seat.successor is not None and seat.successor.generation == incoming.number:
                successor, seat.successor = seat.successor, None
                self._dismiss(successor)
            seat.due = self._now
        if incoming.nest is not None:
            self._dismiss(incoming.nest)

    def _end_reload(self, step: ClusterStep, reload: Reload, text: str) -> None:
        self._reload = None
        self._enter(step)
        if reload.failure is None:
            self._report("info", text)
        for request in reload.requests:
            self._answer(request, text, reload.failure)
        self._next()

    def _next(self) -> None:
        """Do what was asked for meanwhile: first the one joined reload, then, when no reload is under way, the rest."""
        if self._next_reload is not None:
            event, requests = self._next_reload, self._next_reload_requests
            self._next_reload, self._next_reload_requests = None, []
            self._begin_reload(requests, event.workers)
            return
        queue, self._queue = self._queue, []
        for event_ in queue:
            self._take_request(event_)

    # ── records and commands ─────────────────────────────────────────────────────────────────────────────────────────

    def _open_generation(self) -> Generation:
        generation = Generation(next(self._numbers))
        self._generations[generation.number] = generation
        return generation

    def _new_process(self, role: Role, slot: int, generation: int, due: float) -> Process:
        process = Process(peer=next(self._peers), role=role, slot=slot, generation=generation, due=due)
        self._processes[process.peer] = process
        return process

    def _set_slots(self, wanted: int) -> None:
        for slot in range(self.slots + 1, wanted + 1):
            self._worker_seats[slot] = Seat(Role.WORKER, slot)
        for slot in range(self.slots, wanted, -1):
            seat = self._worker_seats.pop(slot)
            for request, _ in seat.waiters:
                self._answer(request, "removed", Failure(problem=f"slot {slot} was removed", hint=f"there are slots 1 to {wanted}"))
            for process in (seat.successor, seat.current):
                if process is not None:
                    self._dismiss(process)
        self._out.append(SetSlots(count=wanted))

    def _dismiss(self, process: Process, *, closing: bool = False) -> None:
        """Have a process leave, in the way its state allows. The caller has taken it out of its seat."""
        match process.state:
            case P.WAITING:
                process.step(ProcessStep.DISMISS)
                self._forget(process)
            case P.FORKING:
                process.step(ProcessStep.DISMISS)
            case P.BOOTING | P.READY:
                gently = process.state is P.READY and process.role is not Role.NEST
                process.step(ProcessStep.DRAIN)
                stop_timeout = self._policy.stop_timeout
                process.deadline = self._now + (min(stop_timeout, NEST_PATIENCE) if process.role is Role.NEST else stop_timeout)
                self._out.append(Drain(process=process.peer, closing=closing) if gently else Terminate(process=process.peer))
            case _:
                return

    def _end_now(self, process: Process) -> None:
        if process.state is P.WAITING or process.state is P.FORKING:
            self._dismiss(process)
        elif process.state is not P.KILLING:
            self._count_killed(process)
            process.step(ProcessStep.KILL)
            self._kill(process)

    def _count_killed(self, process: Process) -> None:
        # Of a stop: who had work to finish and was not given, or did not take, the time.
        self._killed += self._state is ClusterState.STOPPING and process.role is not Role.NEST

    def _kill(self, process: Process) -> None:
        process.kill_sent = True
        process.deadline = self._now + KILL_PATIENCE
        if process.pid:
            self._out.append(Kill(process=process.peer))

    def _enter(self, step: ClusterStep) -> None:
        before = self._state
        self._state = advance(CLUSTER_TRANSITIONS, self._state, step)
        if self._state is not before:
            self._out.append(EnterState(state=self._state))

    def _report(self, level: str, text: str, failure: Failure | None = None) -> None:
        self._out.append(Report(level=level, text=text, failure=failure))

    def _answer(self, request: int, text: str, failure: Failure | None = None) -> None:
        if request:
            self._out.append(Answer(request=request, text=text, failure=failure))

    def _moments(self) -> Iterator[float]:
        if self._state is ClusterState.STOPPING and self._drain_at > self._now:
            yield self._drain_at
        if self._state in {ClusterState.READY, ClusterState.RELOADING}:
            # A seat in a pause may want a successor once it is over.
            yield from (seat.due for seat in self.seats if seat.due > self._now)
        for process in self._processes.values():
            if process.state is P.WAITING:
                # Who is due and still waits, waits for its nest or for the agent, not for a moment.
                if process.due > self._now:
                    yield process.due
            elif process.deadline is not None:
                yield process.deadline
            if process.is_cut_off and process.lost_at is not None:
                yield process.lost_at
