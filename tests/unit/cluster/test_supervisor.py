"""The start, sentence by sentence of the design. Deaths, requests, reloads and stops have files of their own."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.unit.cluster.dialogue import AGENT, BROKEN, FIRST, NEST, SECOND, Dialogue, agent, worker

from tamago.cluster.events import (
    Activate,
    Answer,
    ChannelLost,
    CloseListeners,
    Drain,
    DumpStacks,
    EnterState,
    Event,
    Exit,
    Fork,
    ForkFailed,
    Kill,
    NestImported,
    ProcessBooted,
    ProcessExited,
    ProcessFailed,
    ProcessForked,
    ProcessHung,
    ProcessMisbehaved,
    RecycleDue,
    SetSlots,
    StartMode,
    StartNest,
    StartRequested,
    StopRequested,
    TellReady,
    Terminate,
)
from tamago.cluster.policy import DUMP_GRACE, FAILED_GRACE, Policy
from tamago.cluster.states import ClusterState
from tamago.types import Role

READY = EnterState(state=ClusterState.READY)
STOPPING = EnterState(state=ClusterState.STOPPING)
STOPPED = EnterState(state=ClusterState.STOPPED)


class TestStart:
    def test_the_order_is_nest_agent_workers_ready(self) -> None:
        cluster = Dialogue()
        assert cluster.say(StartRequested()) == [SetSlots(count=2), StartNest(process=NEST, generation=1)]
        assert cluster.forked(NEST) == []
        assert cluster.imported(NEST) == [agent(AGENT)]
        assert cluster.forked(AGENT) == []
        assert cluster.booted(AGENT) == [Activate(process=AGENT), worker(FIRST, 1), worker(SECOND, 2)]
        assert cluster.forked(FIRST) == cluster.forked(SECOND) == []
        assert cluster.booted(SECOND) == [Activate(process=SECOND)]
        assert cluster.booted(FIRST) == [
            Activate(process=FIRST),
            READY,
            TellReady(process=AGENT),
            TellReady(process=FIRST),
            TellReady(process=SECOND),
        ]
        assert cluster.supervisor.state is ClusterState.READY
        assert not cluster.supervisor.degraded

    def test_without_an_agent_the_workers_follow_the_nest(self) -> None:
        cluster = Dialogue(agent=False)
        cluster.say(StartRequested())
        assert cluster.nest_born(NEST) == [worker(2, 1), worker(3, 2)]

    def test_a_target_that_must_not_be_forked_is_spawned(self) -> None:
        cluster = Dialogue()
        cluster.say(StartRequested())
        (fork,) = cluster.nest_born(NEST, StartMode.SPAWN)
        assert isinstance(fork, Fork)
        assert fork.mode is StartMode.SPAWN

    def test_a_process_whose_own_channel_is_faster_than_its_nest_boots_as_well(self) -> None:
        cluster = Dialogue()
        cluster.say(StartRequested())
        cluster.nest_born(NEST)
        assert cluster.booted(AGENT) == []
        assert cluster.forked(AGENT)[0] == Activate(process=AGENT)


def at_the_nest(cluster: Dialogue) -> int:
    cluster.say(StartRequested())
    cluster.forked(NEST)
    return NEST


def at_the_agent(cluster: Dialogue) -> int:
    at_the_nest(cluster)
    cluster.imported(NEST)
    cluster.forked(AGENT)
    return AGENT


def at_a_worker(cluster: Dialogue) -> int:
    at_the_agent(cluster)
    cluster.booted(AGENT)
    cluster.born(FIRST)
    cluster.forked(SECOND)
    return SECOND


class TestAStartThatFails:
    @pytest.mark.parametrize("where", [at_the_nest, at_the_agent, at_a_worker])
    def test_ends_with_the_failure_of_the_process_and_exit_code_1(self, where: Callable[[Dialogue], int]) -> None:
        cluster = Dialogue()
        peer = where(cluster)
        cluster.say(ProcessFailed(process=peer, failure=BROKEN))
        said = cluster.exited(peer, 1)
        while cluster.supervisor.processes:
            said += cluster.exited(max(cluster.supervisor.processes))
        assert said[:2] == [STOPPING, CloseListeners()]
        assert said[-2:] == [STOPPED, Exit(code=1, killed=0, failure=BROKEN)]
        assert not any(isinstance(command, Fork | StartNest | Kill) for command in said)

    @pytest.mark.parametrize("where", [at_the_nest, at_the_agent, at_a_worker])
    def test_says_how_the_process_died_if_it_could_not_say_why(self, where: Callable[[Dialogue], int]) -> None:
        cluster = Dialogue()
        cluster.exited(where(cluster), -9)
        assert "died while it was booting: signal SIGKILL" in cluster.reports[-1].text

    @pytest.mark.parametrize("where", [at_the_nest, at_the_agent, at_a_worker])
    def test_shows_the_stacks_of_who_does_not_get_ready_in_time(self, where: Callable[[Dialogue], int]) -> None:
        cluster = Dialogue(boot_timeout=60.0)
        peer = where(cluster)
        assert cluster.wait(59.9) == []
        assert cluster.wait(0.1)[:2] == [DumpStacks(process=peer), STOPPING]
        assert "did not get ready in 60 s" in cluster.reports[-1].text
        assert Kill(process=peer) in cluster.wait(DUMP_GRACE)

    def test_ends_the_ones_that_are_up_in_reverse_order(self) -> None:
        cluster = Dialogue()
        at_a_worker(cluster)
        assert cluster.exited(SECOND, 1) == [STOPPING, CloseListeners(), Drain(process=FIRST, closing=True)]
        assert cluster.exited(FIRST) == [Drain(process=AGENT, closing=True)]
        assert cluster.exited(AGENT) == [Terminate(process=NEST)]
        assert cluster.exited(NEST)[0] == STOPPED

    def test_does_not_wait_long_for_who_said_that_it_failed_and_does_not_exit(self) -> None:
        cluster = Dialogue()
        at_the_agent(cluster)
        cluster.say(ProcessFailed(process=AGENT, failure=BROKEN))
        assert STOPPING in cluster.wait(FAILED_GRACE)
        assert cluster.reports[-1].failure == BROKEN

    def test_when_the_kernel_refuses_a_process(self) -> None:
        cluster = Dialogue()
        cluster.say(StartRequested())
        said = cluster.say(ForkFailed(process=NEST, reason="Resource temporarily unavailable"))
        assert said[0] == STOPPING
        assert isinstance(said[-1], Exit)
        assert said[-1].failure is not None
        assert "cannot start nest gen=1: Resource temporarily unavailable" in said[-1].failure.problem


NOBODY = 99


@pytest.mark.parametrize(
    "event",
    [
        ProcessForked(process=NOBODY, pid=1),
        ForkFailed(process=NOBODY, reason="late"),
        NestImported(process=NOBODY, mode=StartMode.FORK),
        ProcessBooted(process=NOBODY),
        ProcessFailed(process=NOBODY, failure=BROKEN),
        ProcessExited(process=NOBODY, status=0),
        ProcessHung(process=NOBODY, seconds=31.0),
        ProcessMisbehaved(process=NOBODY, reason="late"),
        ChannelLost(process=NOBODY),
        RecycleDue(process=NOBODY, reason="late"),
    ],
    ids=lambda event: type(event).__name__,
)
def test_an_event_about_nobody_changes_nothing(event: Event) -> None:
    cluster = Dialogue().started()
    before = dict(cluster.supervisor.processes)
    assert cluster.say(event) == []
    assert cluster.supervisor.processes == before
    assert cluster.supervisor.next_deadline is None


def test_new_settings_are_used_from_then_on() -> None:
    cluster = Dialogue(boot_timeout=60.0).started()
    cluster.supervisor.use(Policy(workers=9, boot_timeout=5.0))
    cluster.exited(FIRST, 1)
    cluster.forked(5)
    assert DumpStacks(process=5) in cluster.wait(5.0)
    assert cluster.supervisor.slots == 2


def test_seats_are_the_agent_and_then_the_slots() -> None:
    cluster = Dialogue().started()
    assert [(seat.role, seat.slot) for seat in cluster.supervisor.seats] == [(Role.AGENT, 0), (Role.WORKER, 1), (Role.WORKER, 2)]


def test_deaths_are_counted_per_seat_with_the_reason_of_the_last() -> None:
    cluster = Dialogue().started()
    cluster.exited(FIRST, 3)
    seat = cluster.supervisor.seats[1]
    assert seat.deaths == 1
    assert "exit code 3" in seat.last_death


def test_a_stop_before_the_start_ends_at_once() -> None:
    cluster = Dialogue()
    assert cluster.say(StopRequested(request=7))[-2:] == [Answer(request=7, text="stopped"), Exit(code=0, killed=0)]
