"""Decides everything about the cluster and does nothing: events go in, commands come out.

Each event changes the records; then `_settle` compares what is with what should be and asks for the difference. So there is no
script that could lose its place: whatever dies or comes late in between, the next comparison starts from the facts.
The shell (`master.py`) turns system calls into events and commands into system calls; tests put a simulated world there.

This file takes events in. What is remembered is in `roster`, what should be in `settling`, and `reloading`, `stopping` and `asking` have
what belongs to a reload, a stop, and to who asked for something.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import assert_never

from tamago.cluster import reloading, settling
from tamago.cluster.asking import STOPPING, Requests
from tamago.cluster.children import Process, Seat, describe_status, hint_for_status
from tamago.cluster.deadlines import moments
from tamago.cluster.events import (
    AgentRestartRequested,
    ChannelLost,
    Command,
    DumpStacks,
    Event,
    Failure,
    ForkFailed,
    KickRequested,
    NestImported,
    ProcessBooted,
    ProcessEvent,
    ProcessExited,
    ProcessFailed,
    ProcessForked,
    ProcessHung,
    ProcessMisbehaved,
    RecycleDue,
    ReloadRequested,
    ScaleRequested,
    StartRequested,
    StopRequested,
    Terminate,
    TimePassed,
)
from tamago.cluster.policy import CHANNEL_GRACE, DUMP_GRACE, FAILED_GRACE, FORK_PATIENCE, Policy, RestartBudget, restart_pause
from tamago.cluster.roster import Roster
from tamago.cluster.states import ClusterState, ClusterStep, ProcessState, ProcessStep
from tamago.cluster.stopping import Stopping
from tamago.types import Role

P = ProcessState

_KERNEL_REFUSED = "look at the limits on processes, memory and open files (`ulimit -u -n`, the cgroup's pids.max and memory.max)"


class Supervisor:
    """Folds events into the state of the cluster; see the module's docstring.

    `random` returns a float in 0..1 and spreads the restart pauses.
    """

    def __init__(self, policy: Policy, *, random: Callable[[], float]) -> None:
        self._roster = Roster(policy)
        self._requests = Requests(self._roster)
        self._stopping = Stopping(self._roster, self._requests)
        self._random = random
        self._budget = RestartBudget(policy.max_restarts, policy.max_restarts_period)

    # ── what others may know ─────────────────────────────────────────────────────────────────────────────────────────

    @property
    def state(self) -> ClusterState:
        """The cluster's state."""
        return self._roster.state

    @property
    def processes(self) -> Mapping[int, Process]:
        """Everybody who is not gone, by peer id. Not to be changed."""
        return self._roster.processes

    @property
    def slots(self) -> int:
        """The number of worker slots."""
        return self._roster.slots

    @property
    def generation(self) -> int:
        """The generation that serves; during a reload the old one."""
        return self._roster.serving

    @property
    def seats(self) -> list[Seat]:
        """The agent's seat, if there is an agent, then the slots in order. Not to be changed."""
        return self._roster.seats

    @property
    def degraded(self) -> bool:
        """Whether the cluster is up but somebody is missing."""
        return self.state in {ClusterState.READY, ClusterState.RELOADING} and not all(seat.is_served for seat in self.seats)

    @property
    def next_deadline(self) -> float | None:
        """When to send `TimePassed`. It may have passed already: then at once, after what else has come in."""
        return min(moments(self._roster, self._stopping), default=None)

    def use(self, policy: Policy) -> None:
        """Take a new policy, after a reload read new settings. The number of workers is not taken from it."""
        self._roster.policy = policy

    def handle(self, event: Event, *, now: float) -> list[Command]:
        """Take in one event; return what must be done about it, in order. `now` is monotonic, in seconds."""
        self._roster.now = now
        self._roster.out = []
        self._take(event)
        # Settling may make more of itself possible (a promotion frees a place in the batch), so until nothing changes.
        while self._roster.state is not ClusterState.STOPPED:
            done = len(self._roster.out)
            self._settle()
            if len(self._roster.out) == done:
                break
        return self._roster.out

    # ── events ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def _take(self, event: Event) -> None:
        match event:
            case StartRequested():
                self._roster.open_generation()
                self._roster.serving = 1
                self._roster.set_slots(self._roster.policy.workers)
            case TimePassed():
                # Nowhere else: after the master was stopped for a while, what all the others said meanwhile is heard first.
                self._settle_deadlines()
            case ReloadRequested():
                self._take_reload(event)
            case ScaleRequested() | KickRequested() | AgentRestartRequested():
                self._requests.take(event)
            case StopRequested():
                self._stopping.take(event)
            case _:
                # Who is gone has been forgotten; what was still on its way from it concerns nobody.
                if process := self._roster.processes.get(event.process):
                    self._take_from(process, event)

    def _take_reload(self, event: ReloadRequested) -> None:
        if self._roster.state is ClusterState.STOPPING:
            self._roster.answer(event.request, "refused", STOPPING)
        elif self._roster.state is ClusterState.READY:
            reloading.begin(self._roster, [event.request], event.workers)
        else:
            self._requests.queue_reload(event)

    def _take_from(self, process: Process, event: ProcessEvent) -> None:  # noqa: C901 - one line an event
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
            self._call_back(process)
            return
        process.deadline = self._roster.now + self._roster.policy.boot_timeout
        if process.booted_early:
            self._booted(process)

    def _call_back(self, process: Process) -> None:
        """End a process that was not wanted any more before its pid was known. By now it may even serve."""
        if self._stopping.is_now:
            self._roster.kill(process)
        else:
            self._roster.out.append(Terminate(process=process.peer))
            process.deadline = self._roster.now + self._roster.policy.stop_timeout

    def _fork_failed(self, process: Process, event: ForkFailed) -> None:
        process.step(ProcessStep.FORK_FAILED)
        process.deadline = process.lost_at = None
        process.booted_early = False
        if process.state is P.GONE:
            self._roster.forget(process)
            return
        process.due = self._roster.now
        if event.nest_lost:
            # The nest's own end says what there is to say. Until it is reported, nobody is asked of it any more.
            if process.asked_of is not None:
                self._lost_channel(process.asked_of)
            return
        self._lost(
            process,
            Failure(
                problem=f"cannot start {process.to_log()}: {event.reason}",
                hint=event.hint or _KERNEL_REFUSED,
                detail=event.detail,
            ),
        )

    def _failed(self, process: Process, failure: Failure) -> None:
        if process.ready_at is not None and process.role is not Role.AGENT:
            return  # it boots no more; why it dies one day is another story (an agent can say later that it cannot go on)
        process.failure = process.failure or failure
        if process.state is P.BOOTING:
            process.deadline = min(process.deadline or self._roster.now, self._roster.now + FAILED_GRACE)

    def _introduced(self, process: Process, event: NestImported | ProcessBooted) -> None:
        if isinstance(event, NestImported) != (process.role is Role.NEST):
            self._misbehaved(process, "it claims to be what it is not")
            return
        generation = self._roster.generations.get(process.generation)
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
            process.ready_at = self._roster.now

    def _exited(self, process: Process, status: int) -> None:
        expected = process.is_leaving
        process.step(ProcessStep.EXIT)
        self._roster.forget(process)
        if expected:
            clean = status == 0 or process.kill_sent or process.role is Role.NEST
            self._roster.report("info" if clean else "warning", f"{process.to_log()} left: {describe_status(status)}")
            return
        failure = process.failure
        if failure is None:
            when = "while it was booting" if process.ready_at is None else f"after {process.ready_for(self._roster.now):.1f} s"
            failure = Failure(
                problem=f"{process.to_log()} died {when}: {describe_status(status)}",
                hint=hint_for_status(status) or "its own last lines in the log say why",
            )
        self._lost(process, failure)

    def _hung(self, process: Process, event: ProcessHung) -> None:
        # Before it is ready the boot timeout watches it, and when it drains the stop timeout does.
        if process.state is P.READY:
            text = f"{process.to_log()} hangs: its {event.what} has been blocked for {event.seconds:.0f} s"
            self._doom(process, Failure(problem=text, hint="the stacks in the log show where"), dump=True)

    def _misbehaved(self, process: Process, reason: str) -> None:
        if process.state is P.DRAINING:
            self._roster.count_killed(process)
            process.step(ProcessStep.KILL)
            self._roster.kill(process)
        elif not process.is_leaving and process.pid:
            # It may have said why, with what to do about it.
            self._doom(process, process.failure or Failure(problem=f"{process.to_log()} is replaced: {reason}"))

    def _lost_channel(self, process: Process) -> None:
        if process.state is not P.WAITING and not process.is_leaving and process.lost_at is None:
            process.lost_at = self._roster.now + CHANNEL_GRACE

    def _recycle(self, process: Process, reason: str) -> None:
        seat = self._roster.seat_of(process)
        if seat is not None and seat.current is process and process.state is P.READY and not seat.renew:
            seat.renew = reason
            self._roster.report("info", f"{process.to_log()} will be replaced: {reason}")

    # ── deaths ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def _doom(self, process: Process, failure: Failure, *, dump: bool = False) -> None:
        """Decide the end of a process that still lives, and treat it as lost from now on."""
        process.step(ProcessStep.KILL)
        if dump and process.pid:
            self._roster.out.append(DumpStacks(process=process.peer))
            process.deadline = self._roster.now + DUMP_GRACE
        else:
            self._roster.kill(process)
        self._lost(process, failure)

    def _lost(self, process: Process, failure: Failure) -> None:
        """Do what an unexpected death asks for: end the start, roll back, or replace."""
        reload = self._roster.reload
        if self._roster.state is ClusterState.STARTING:
            self._roster.vacate(process)
            self._stopping.begin(exit_code=1, failure=failure)
        elif reload is not None and process.generation == reload.incoming.number:
            self._roster.vacate(process)
            if process.state is P.WAITING:
                self._roster.dismiss(process)
            if reload.failure is None:
                reloading.roll_back(self._roster, reload, failure)
        elif self._roster.state is not ClusterState.STOPPED:
            self._replace(process, failure)

    def _replace(self, process: Process, failure: Failure) -> None:
        place = self._roster.seat_of(process) or self._roster.generations.get(process.generation)
        pause = 0.0
        if place is not None:
            place.failures.add(ready_for=process.ready_for(self._roster.now))
            pause = restart_pause(place.failures.count, self._random())
            place.due = self._roster.now + pause
        self._requests.tell_who_waits(place, failure)
        if process.state is not P.WAITING:
            self._roster.vacate(process)
        elif isinstance(place, Seat) and place.successor is process:
            self._roster.vacate(process)  # its fork failed; others get their turn while it pauses
            self._roster.dismiss(process)
        else:
            process.due = self._roster.now + pause  # its fork failed; it keeps its place
        if self._roster.state is ClusterState.STOPPING:
            self._roster.report("warning", failure.problem, failure)
            return
        self._roster.report("error", f"{failure.problem}; next try {f'in {pause:.1f} s' if pause else 'now'}", failure)
        if self._budget.spend(self._roster.now):
            text = f"more than {self._roster.policy.max_restarts} processes died in {self._roster.policy.max_restarts_period:g} s"
            self._stopping.begin(exit_code=1, failure=Failure(problem=f"giving up: {text} (--max-restarts)", hint=failure.problem))

    # ── what should be, and when ─────────────────────────────────────────────────────────────────────────────────────

    def _settle(self) -> None:
        roster = self._roster
        if self._stopping.has_begun:
            self._stopping.settle()
            return
        settling.fill_vacancies(roster)
        if roster.state is not ClusterState.STOPPING:
            settling.replace_the_old(roster)
        settling.start_who_is_due(roster)
        settling.activate(roster)
        if roster.state is ClusterState.STARTING and roster.serving and all(seat.serves(roster.serving) for seat in roster.seats):
            roster.enter(ClusterStep.ALL_READY)
        reloading.settle(roster)
        if roster.state is ClusterState.READY:
            self._take_what_waited()
        self._requests.settle()

    def _take_what_waited(self) -> None:
        # First the reload, then, when none is under way, the rest.
        if reload := self._requests.next_reload():
            event, requests = reload
            reloading.begin(self._roster, requests, event.workers)
        else:
            self._requests.take_queued()

    def _settle_deadlines(self) -> None:
        for process in list(self._roster.processes.values()):
            if process.is_cut_off and process.lost_at is not None and process.lost_at <= self._roster.now:
                self._misbehaved(process, "it closed its channel and lives on")
            elif process.deadline is not None and process.deadline <= self._roster.now:
                self._overdue(process)

    def _overdue(self, process: Process) -> None:
        if process.pid == 0:
            self._give_up_on_nest(process)
        elif process.state is P.BOOTING:
            text = f"{process.to_log()} did not get ready in {self._roster.policy.boot_timeout:g} s"
            hint = "the stacks in the log show what it was doing; --boot-timeout gives it longer"
            self._doom(process, process.failure or Failure(problem=text, hint=hint), dump=True)
        elif process.state is P.DRAINING:
            self._roster.report("warning", f"{process.to_log()} did not leave in time: killing it")
            self._roster.count_killed(process)
            process.step(ProcessStep.KILL)
            self._roster.kill(process)
        elif process.kill_sent and self._roster.state is ClusterState.STOPPING:
            self._roster.report("error", f"{process.to_log()} does not even die of SIGKILL; leaving it to the kernel")
            self._roster.forget(process)
        else:
            self._roster.kill(process)

    def _give_up_on_nest(self, process: Process) -> None:
        # A nest answers within milliseconds; one that does not is stopped or broken. Its end answers all that was asked of it.
        generation = self._roster.generations.get(process.generation)
        process.deadline = self._roster.now + FORK_PATIENCE
        if process.role is not Role.NEST and generation is not None and generation.nest is not None and generation.nest.pid:
            self._misbehaved(generation.nest, "it does not answer")
