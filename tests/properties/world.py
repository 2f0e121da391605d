"""A world for the supervisor to act on: processes, a clock, and messages on their way. It obeys every command, and a command that could not
be obeyed is an error: that is its whole worth.

It knows what is true (who lives) and what the supervisor has been told (whose end it has seen); a command to somebody who died a moment
ago is fine, a command to somebody whose end was reported is not.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from heapq import heappop, heappush
from itertools import count

from tests.properties.children import Asked, Child, DisobedienceError, Request
from tests.properties.nature import BootFate, ForkFate, Nature

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
    Report,
    SetSlots,
    StartMode,
    StartNest,
    StartRequested,
    StopRequested,
    TellReady,
    Terminate,
    TimePassed,
)
from tamago.cluster.policy import Policy
from tamago.cluster.states import CLUSTER_TRANSITIONS, ClusterState
from tamago.cluster.supervisor import Supervisor
from tamago.types import Role


class World:
    """The processes of one cluster, and its supervisor."""

    def __init__(self, policy: Policy, nature: Nature, *, random: Callable[[], float] = lambda: 0.0) -> None:
        self.policy = policy
        self.nature = nature
        self.supervisor = Supervisor(policy, random=random)
        self.now = 1000.0
        self.children: dict[int, Child] = {}
        self.state = ClusterState.STARTING
        self.slots = 0
        self.exit: Exit | None = None
        self.listeners_open = True
        self.asked: dict[int, Asked] = {}
        self.pending: set[int] = set()
        self.answers: dict[int, Answer] = {}
        self.nest_started: dict[int, float] = {}
        self.stopped_by: Event | None = None
        self.hurried = False  # a stop was asked for twice, or with "now"
        self.shortest_stop = policy.stop_timeout
        self.timers_in_a_row = 0  # at the same moment
        self.transcript: list[tuple[float, Event | Command]] = []
        self.after_each: list[Callable[[World, Event, list[Command]], None]] = []
        self._queue: list[tuple[float, int, Callable[[], None]]] = []
        self._inbox: list[Event] | None = None  # while the master sleeps
        self._order = count()
        self._pids = count(100)
        self._requests = count(1)
        self._timer: tuple[float, float] | None = None  # a deadline, and when its timer fires

    # ── time ─────────────────────────────────────────────────────────────────────────────────────────────────────────

    def start(self) -> None:
        self.tell(StartRequested())

    def step(self) -> bool:
        """Let the next thing happen; return False if nothing is due, ever."""
        moment = self._next_moment()
        if moment is None:
            return False
        self.timers_in_a_row = 0 if moment > self.now else self.timers_in_a_row
        self.now = max(self.now, moment)
        if self._queue and self._queue[0][0] <= moment:
            heappop(self._queue)[2]()
        else:
            self._timer = None
            self.timers_in_a_row += 1
            self.tell(TimePassed())
        return True

    def run(self, seconds: float, until: Callable[[], bool] = lambda: False) -> bool:
        """Let time pass until the condition holds; return whether it does within so many seconds."""
        end = self.now + seconds
        while not until():
            moment = self._next_moment()
            if moment is None or moment > end:
                self.now = end
                return until()
            self.step()
        return True

    def sleep(self, seconds: float) -> None:
        """Let time pass while the master does not run: its processes do, and it learns of it late, but before any timer fires."""
        end = self.now + seconds
        inbox: list[Event] = []
        self._inbox = inbox
        while self._queue and self._queue[0][0] <= end:
            self.now, _, act = heappop(self._queue)
            act()
        self._inbox = None
        self.now = end
        for event in inbox:
            self.tell(event)

    def _next_moment(self) -> float | None:
        if self.exit is not None:
            return None
        moments = [self._queue[0][0]] if self._queue else []
        deadline = self.supervisor.next_deadline
        if deadline is not None:
            if self._timer is None or self._timer[0] != deadline:
                self._timer = (deadline, deadline + self.nature.lateness())
            moments.append(self._timer[1])
        return min(moments, default=None)

    def _later(self, delay: float, act: Callable[[], None]) -> None:
        heappush(self._queue, (self.now + delay, next(self._order), act))

    # ── events ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def tell(self, event: Event) -> None:
        """Give the supervisor an event now, and obey."""
        if self.exit is not None:
            return
        if self._inbox is not None:
            self._inbox.append(event)
            return
        self._note(event)
        self.transcript.append((self.now, event))
        commands = self.supervisor.handle(event, now=self.now)
        for command in commands:
            self.transcript.append((self.now, command))
            self._obey(command, event)
        for check in self.after_each:
            check(self, event, commands)

    def ask(self, event: Request) -> int:
        """Send a request under a number of its own."""
        request = next(self._requests)
        if self.exit is not None:
            return request
        event = replace(event, request=request)
        serving = (child for child in self.children.values() if child.is_known and child.active and not child.leaving)
        peer = 0
        if isinstance(event, KickRequested):
            peer = next((child.peer for child in serving if child.role is Role.WORKER and child.slot == event.slot), 0)
        elif isinstance(event, AgentRestartRequested):
            peer = next((child.peer for child in serving if child.role is Role.AGENT), 0)
        self.asked[request] = Asked(event=event, at=self.now, generation=self.supervisor.generation, peer=peer)
        self.pending.add(request)
        self.tell(event)
        return request

    def use(self, policy: Policy) -> None:
        """Change the settings, as a reload may."""
        self.policy = policy
        self.supervisor.use(policy)

    def _note(self, event: Event) -> None:
        """Remember what the supervisor knows from now on."""
        match event:
            case ProcessForked(process=peer):
                self.children[peer].forked = True
                self.children[peer].asked = False
            case ForkFailed(process=peer):
                self.children[peer].asked = False
            case NestImported(process=peer) if self.children[peer].role is Role.NEST:
                self.children[peer].booted = True
                self.children[peer].mode = event.mode
            case ProcessBooted(process=peer) if self.children[peer].role is not Role.NEST:
                self.children[peer].booted = True
                self.children[peer].early = not self.children[peer].forked
            case ProcessExited(process=peer):
                self.children[peer].exited = True
            case StopRequested():
                self.hurried = self.hurried or event.now or self.state is ClusterState.STOPPING
                self.shortest_stop = min(self.shortest_stop, self.shortest_stop if event.timeout is None else event.timeout)
            case _:
                pass

    def say(self, child: Child, event: Event) -> None:
        """Send an event over the channel of a process; what a process says stays in order."""
        child.fifo = max(child.fifo, self.now + self.nature.latency())
        self._later(child.fifo - self.now, lambda: self.tell(event))

    # ── the lives of processes ───────────────────────────────────────────────────────────────────────────────────────

    def alive(self) -> list[Child]:
        return [child for child in self.children.values() if child.alive]

    def kill(self, child: Child, status: int = -9) -> None:
        """End a process, as the kernel or an operator would."""
        if not child.alive:
            return
        child.alive = False
        if self.nature.channel_closes_first():
            self.say(child, ChannelLost(process=child.peer))
        # Its end is reaped on its own way, which is not that of its messages; but nobody is reaped whose pid is unknown.
        delay = max(self.nature.latency(), child.forked_at - self.now)
        self._later(delay, lambda: self.tell(ProcessExited(process=child.peer, status=status)))
        if child.role is Role.NEST:
            for other in self.children.values():
                if other.nest == child.peer and other.asked and other.pid == 0 and other.mode is StartMode.FORK:
                    self._lose_fork(other)

    def _lose_fork(self, child: Child) -> None:
        child.nest = 0  # so that it is lost once
        if self.nature.channel_closes_first():
            self.say(child, ChannelLost(process=child.peer))
        # Once it is known that there is nobody, its channel says nothing any more.
        self.say(child, ForkFailed(process=child.peer, reason="its nest is gone", nest_lost=True))

    def _fork(self, child: Child) -> None:
        """Obey the order to start a process."""
        child.asked = True
        child.attempt += 1
        fate, delay = self.nature.fork(child.role)
        nest = self.children.get(child.nest)
        forks = child.role is not Role.NEST and child.mode is StartMode.FORK
        if forks and nest is not None:
            nest.stalled = nest.stalled or fate is ForkFate.STALLS
            if not nest.alive:
                self._lose_fork(child)
                return
        if fate is ForkFate.FAILS:
            # The refusal and the loss of the nest must not both be reported.
            child.nest = 0
            refused = ForkFailed(process=child.peer, reason="Resource temporarily unavailable")
            self._later(delay, lambda: self.tell(refused))
            return
        attempt = child.attempt
        self._later(delay, lambda: self._forked(child, nest if forks else None, attempt))

    def _forked(self, child: Child, nest: Child | None, attempt: int) -> None:
        # If the nest died meanwhile, its death has answered; if it stalls, its death will.
        if child.attempt != attempt or (nest is not None and (not nest.alive or nest.stalled)):
            return
        child.pid = next(self._pids)
        child.alive = True
        child.forked_at = self.now + self.nature.latency()
        self._later(child.forked_at - self.now, lambda: self.tell(ProcessForked(process=child.peer, pid=child.pid)))
        fate, delay = self.nature.boot(child.role)
        self._later(delay, lambda: self._boot(child, fate))

    def _boot(self, child: Child, fate: BootFate) -> None:
        if not child.alive:
            return
        if fate in {BootFate.FAILS, BootFate.FAILS_AND_STAYS}:
            failure = Failure(problem="ImportError: no module named shop", detail="Traceback ...")
            self.say(child, ProcessFailed(process=child.peer, failure=failure))
        if fate in {BootFate.FAILS, BootFate.DIES}:
            self.kill(child, status=1)
        elif fate is BootFate.BOOTS and child.role is Role.NEST:
            self.say(child, NestImported(process=child.peer, mode=self.nature.mode()))
        elif fate is BootFate.BOOTS:
            self.say(child, ProcessBooted(process=child.peer))

    def _leave(self, child: Child) -> None:
        delay = self.nature.leave(child.role)
        if delay is not None and not child.stalled:
            self._later(delay, lambda: self.kill(child, status=0))

    # ── commands ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def _obey(self, command: Command, event: Event) -> None:
        self._insist(self.exit is None, command, "comes after Exit")
        match command:
            case StartNest() | Fork():
                self._obey_fork(command)
            case Activate() | TellReady() | Drain() | Terminate() | DumpStacks() | Kill():
                child = self.children.get(command.process)
                self._insist(child is not None and child.is_known, command, "is for a process that has no pid or is gone")
                if child is not None:
                    self._obey_order(child, command)
            case _:
                self._obey_word(command, event)

    def _obey_word(self, command: CloseListeners | SetSlots | EnterState | Report | Answer | Exit, event: Event) -> None:
        match command:
            case CloseListeners():
                self._insist(self.listeners_open, command, "closes them twice")
                self._insist(self.state is ClusterState.STOPPING, command, "closes them while the cluster serves")
                self.listeners_open = False
            case SetSlots():
                self._insist(command.count >= 1, command, "leaves no slot")
                self.slots = command.count
            case EnterState():
                follows = CLUSTER_TRANSITIONS[self.state].values()
                self._insist(command.state in follows and command.state is not self.state, command, f"does not follow {self.state}")
                self.state = command.state
                if command.state is ClusterState.STOPPING:
                    self.stopped_by = event
            case Report():
                self._insist(command.level in {"debug", "info", "warning", "error"}, command, "has no such level")
            case Answer():
                self._insist(command.request in self.pending, command, "answers nobody, or for the second time")
                self.pending.remove(command.request)
                self.answers[command.request] = command
            case Exit():
                self.exit = command

    def _obey_fork(self, command: StartNest | Fork) -> None:
        child = self.children.get(command.process)
        if child is None:
            child = self.children[command.process] = Child(command.process, Role.NEST, 0, command.generation)
        self._insist(not child.asked and not child.pid, command, "is for a process that exists or is under way")
        self._insist(self.listeners_open, command, "comes after the listeners were closed")
        if isinstance(command, Fork):
            nest = self.children.get(command.nest)
            self._insist(nest is not None and nest.booted and nest.is_known and not nest.leaving, command, "asks a nest that cannot fork")
            if nest is not None:
                self._insist((nest.generation, nest.mode) == (command.generation, command.mode), command, "is not what its nest is")
            self._insist(command.role in {Role.AGENT, Role.WORKER}, command, "forks neither agent nor worker")
            self._insist((command.role is Role.AGENT) == (command.slot == 0), command, "has the wrong slot")
            child.role, child.slot, child.nest, child.mode = command.role, command.slot, command.nest, command.mode
        else:
            self.nest_started.setdefault(command.generation, self.now)
        self._fork(child)

    def _obey_order(self, child: Child, command: Activate | TellReady | Drain | Terminate | DumpStacks | Kill) -> None:
        match command:
            case Activate():
                self._insist(child.booted and not child.active and not child.leaving, command, "is not for who may be activated")
                others = [other for other in self.children.values() if other is not child and other.is_known and other.active]
                overlap = child.role is Role.AGENT and any(other.role is Role.AGENT for other in others)
                self._insist(not overlap, command, "makes two agents active")
                child.active = True
            case TellReady():
                self._insist(child.booted and not child.leaving, command, "is for who is not ready")
                self._insist(child.active, command, "comes before Activate")
                self._insist(not child.told_ready, command, "comes twice")
                self._insist(self.state is not ClusterState.STARTING, command, "comes before the cluster is ready")
                child.told_ready = True
            case Drain() | Terminate():
                gently = isinstance(command, Drain)
                # One whose pid comes too late is called back, whether it has booted by then or not.
                called_back = child.early and not child.active and not gently
                rightly = called_back or gently == (child.booted and child.role is not Role.NEST)
                self._insist(rightly, command, "is not how this process is asked")
                self._insist(not child.leaving, command, "comes twice")
                # Nobody needs an agent or worker that was never active, nor a nest that forked none of those who are left, such as one
                # called back by a reload just before the stop.
                if self.state is ClusterState.STOPPING and (child.active or self._has_children(child)):
                    self._insist(not self._first(child.role), command, "comes before its turn")
                child.leaving = True
                child.drained_at = self.now if gently else None
                self._leave(child)
            case DumpStacks():
                self._insist(not child.killed, command, "comes after Kill")
                child.leaving = True
            case Kill():
                child.killed_in_stop = child.killed_in_stop or self.state is ClusterState.STOPPING
                child.leaving = child.killed = True
                self._later(self.nature.die(), lambda: self.kill(child))

    def _first(self, role: Role) -> bool:
        """Whether anybody is there who leaves before this role in a stop: workers, then the agent, then nests."""
        before = {Role.WORKER: set[Role](), Role.AGENT: {Role.WORKER}}.get(role, {Role.WORKER, Role.AGENT})
        return any(child.role in before and (child.is_known or child.asked) for child in self.children.values())

    def _has_children(self, nest: Child) -> bool:
        """Whether anybody is there, or being made, who was asked of this nest."""
        return any(child.nest == nest.peer and (child.is_known or child.asked) for child in self.children.values())

    def _insist(self, holds: bool, command: Command, problem: str) -> None:
        if not holds:
            raise DisobedienceError(f"{command} {problem}")
