"""What must hold after every single event, whatever went wrong before. Each law is one function; `LAWS` is all of them."""

from __future__ import annotations

from collections import Counter

from tests.properties.world import World

from tamago.cluster.events import (
    AgentRestartRequested,
    Answer,
    Command,
    Event,
    KickRequested,
    Kill,
    ReloadRequested,
    ScaleRequested,
    SetSlots,
    StopRequested,
    TimePassed,
)
from tamago.cluster.states import ClusterState, ProcessState
from tamago.cluster.supervisor import Supervisor
from tamago.types import Role

P, C = ProcessState, ClusterState
COMING = {P.WAITING, P.FORKING, P.BOOTING, P.READY}
UP = {C.STARTING, C.READY, C.RELOADING}


def the_supervisor_and_the_world_agree(world: World) -> None:
    """Nobody is forgotten, nobody is made up, and each is where its messages say."""
    supervisor = world.supervisor
    assert supervisor.state is world.state
    assert not supervisor.slots or supervisor.slots == world.slots
    known = {peer for peer, process in supervisor.processes.items() if process.state is not P.WAITING}
    living = {child.peer for child in world.children.values() if child.asked or child.is_known}
    assert known == living, f"only the supervisor knows {known - living}; it has forgotten {living - known}"
    for peer in known:
        process, child = supervisor.processes[peer], world.children[peer]
        assert (process.role, process.slot, process.generation) == (child.role, child.slot, child.generation)
        assert process.pid == (child.pid if child.forked else 0)
        assert process.ready_told == child.told_ready
        assert process.state is not P.READY or (child.booted and not child.leaving)
        assert process.state is not P.BOOTING or not child.leaving


def there_is_no_busy_loop(world: World) -> None:
    """A deadline that has passed was dealt with. A timeout of zero takes a second time; nothing takes many."""
    assert world.timers_in_a_row <= 5
    assert world.exit is None or world.supervisor.next_deadline is None


def no_slot_is_forgotten(world: World) -> None:
    """While the cluster is up each slot, and the agent, has somebody who is coming or there; never more than two."""
    supervisor = world.supervisor
    if supervisor.state not in UP:
        return
    seats = Counter((process.role, process.slot) for process in supervisor.processes.values() if process.state in COMING)
    expected = [(Role.WORKER, slot) for slot in range(1, supervisor.slots + 1)]
    if world.policy.agent and supervisor.slots:
        expected.append((Role.AGENT, 0))
    for seat in expected:
        assert seats[seat] in {1, 2}, f"{seat} has {seats[seat]} processes"
    assert set(seats) - set(expected) <= {(Role.NEST, 0)}


def a_ready_cluster_is_of_one_generation(world: World) -> None:
    """A reload ends entirely new or entirely old: who is not leaving belongs to the generation that serves."""
    supervisor = world.supervisor
    if supervisor.state is C.READY:
        generations = {process.generation for process in supervisor.processes.values() if process.state in COMING}
        assert generations == {supervisor.generation}


def one_process_has_the_messages_of_a_seat(world: World) -> None:
    """Of those who stay, one at most is active in each slot, and one agent."""
    active = [child for child in world.children.values() if child.is_known and child.active and not child.leaving]
    assert len({(child.role, child.slot) for child in active}) == len(active)


def replacements_come_in_batches(world: World) -> None:
    """As many slots as the batch are replaced at a time in a reload; one at a time otherwise."""
    supervisor = world.supervisor
    workers = Counter(process.slot for process in supervisor.processes.values() if process.role is Role.WORKER and process.state in COMING)
    doubled = sum(number > 1 for number in workers.values())
    batch = world.policy.reload_batch if supervisor.state in {C.RELOADING, C.STOPPING} else 1
    assert doubled <= batch, f"{doubled} slots are replaced at a time"


def two_generations_at_most(world: World) -> None:
    """While a new generation comes, workers of the old one serve or leave, and older ones are being ended."""
    supervisor = world.supervisor
    if supervisor.state is C.RELOADING:
        workers = (process for process in supervisor.processes.values() if process.role is Role.WORKER)
        generations = {process.generation for process in workers if process.state in COMING or process.state is P.DRAINING}
        assert len(generations) <= 2, f"workers of {sorted(generations)}"


def who_serves_a_ready_cluster_was_told(world: World) -> None:
    """Ready, in a ready cluster, and the agent or in its slot: told at once."""
    for process in world.supervisor.processes.values():
        if process.state is P.READY and process.active and world.state in {C.READY, C.RELOADING}:
            assert process.ready_told


def everything_ends_with_exit(world: World) -> None:
    """After Exit nobody lives, nobody is remembered, and nobody waits for an answer."""
    if world.exit is None:
        return
    assert not world.alive()
    assert not world.supervisor.processes
    assert not world.pending
    asked = isinstance(world.stopped_by, StopRequested)
    assert (world.exit.code, world.exit.failure is None) == ((0, True) if asked else (1, False))
    killed = sum(child.killed_in_stop and child.role is not Role.NEST for child in world.children.values())
    assert world.exit.killed <= killed
    assert world.state is C.STOPPED
    assert not world.listeners_open


def answers_are_true(world: World, event: Event, commands: list[Command]) -> None:
    """What was answered with success has been done."""
    del event
    supervisor = world.supervisor
    for command in commands:
        if not isinstance(command, Answer) or command.failure is not None:
            continue
        asked = world.asked[command.request]
        match asked.event:
            case ReloadRequested():
                assert supervisor.generation > asked.generation
                assert world.nest_started[supervisor.generation] >= asked.at, "the code was read before the request"
            case KickRequested(slot=slot):
                assert serving(supervisor, Role.WORKER, slot) not in {0, asked.peer}
            case AgentRestartRequested():
                assert serving(supervisor, Role.AGENT, 0) not in {0, asked.peer}
            case ScaleRequested():
                assert all(serving(supervisor, Role.WORKER, slot) for slot in range(1, supervisor.slots + 1))
            case StopRequested():
                assert supervisor.state is C.STOPPED


def serving(supervisor: Supervisor, role: Role, slot: int) -> int:
    """Return who has the messages of a seat, or 0."""
    for process in supervisor.processes.values():
        if (process.role, process.slot) == (role, slot) and process.is_serving:
            return process.peer
    return 0


def nobody_is_killed_without_need(world: World, event: Event, commands: list[Command]) -> None:
    """Who drains has its time, and who serves is killed only for what it did itself; unless everything is to end now.

    While a generation comes, the one before the last is exempt: it finishes now.
    """
    if world.hurried or world.state is C.RELOADING:
        return
    for command in commands:
        if not isinstance(command, Kill) or getattr(event, "process", 0) == command.process:
            continue
        assert isinstance(event, TimePassed), f"{command} for no reason of its own"
        drained_at = world.children[command.process].drained_at
        assert drained_at is None or world.now >= drained_at + world.shortest_stop - 1e-6, f"{command} comes too early"


LAWS = (
    the_supervisor_and_the_world_agree,
    there_is_no_busy_loop,
    no_slot_is_forgotten,
    a_ready_cluster_is_of_one_generation,
    one_process_has_the_messages_of_a_seat,
    replacements_come_in_batches,
    two_generations_at_most,
    who_serves_a_ready_cluster_was_told,
    everything_ends_with_exit,
)


def obey_the_laws(world: World, event: Event, commands: list[Command]) -> None:
    """Check every law."""
    for law in LAWS:
        law(world)
    answers_are_true(world, event, commands)
    nobody_is_killed_without_need(world, event, commands)


class NoGaps:
    """For a world without faults: a slot that had a ready worker once always has one, through reloads, recycling and kicks."""

    def __init__(self) -> None:
        self._covered: set[int] = set()

    def __call__(self, world: World, event: Event, commands: list[Command]) -> None:
        del event
        if world.state not in UP:
            return
        # Fewer slots, and then more again: the slots that come back are new.
        fewest = min([world.slots, *(command.count for command in commands if isinstance(command, SetSlots))])
        processes = world.supervisor.processes.values()
        ready = {process.slot for process in processes if process.role is Role.WORKER and process.is_serving}
        self._covered = {slot for slot in self._covered if slot <= fewest} | ready
        assert self._covered == ready, f"slots {self._covered - ready} are empty"
