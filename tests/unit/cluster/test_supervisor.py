"""Start, deaths and requests, sentence by sentence of the design. Reloads and stops have files of their own."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.unit.cluster.dialogue import AGENT, BROKEN, FIRST, NEST, SECOND, Dialogue, agent, worker

from tamago.cluster.events import (
    Activate,
    AgentRestartRequested,
    Answer,
    ChannelLost,
    CloseListeners,
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
from tamago.cluster.policy import CHANNEL_GRACE, DUMP_GRACE, FAILED_GRACE, FORK_PATIENCE, QUIET_PERIOD
from tamago.cluster.states import ClusterState, ProcessState
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


class TestADeath:
    def test_of_a_worker_is_repaired_at_once(self) -> None:
        cluster = Dialogue().started()
        assert cluster.exited(FIRST, -11) == [worker(5, 1)]
        assert cluster.supervisor.degraded
        assert cluster.born(5) == [Activate(process=5), TellReady(process=5)]
        assert not cluster.supervisor.degraded

    def test_of_the_agent_is_repaired_at_once_and_leaves_the_workers_alone(self) -> None:
        cluster = Dialogue().started()
        assert cluster.exited(AGENT, 1) == [agent(5)]
        assert cluster.born(5) == [Activate(process=5), TellReady(process=5)]

    def test_of_the_nest_is_repaired_and_touches_nobody_else(self) -> None:
        cluster = Dialogue().started()
        assert cluster.exited(NEST, -9) == [StartNest(process=5, generation=1)]
        assert not cluster.supervisor.degraded
        assert cluster.nest_born(5) == []
        assert cluster.exited(FIRST, -9) == [worker(6, 1, nest=5)]

    def test_names_who_died_and_how(self) -> None:
        cluster = Dialogue().started()
        cluster.exited(FIRST, -9)
        assert cluster.reports[-1].text == "worker 1 gen=1 pid=103 died after 1000.0 s: signal SIGKILL; next try now"
        assert cluster.reports[-1].failure is not None
        assert "memory" in cluster.reports[-1].failure.hint

    def test_of_all_workers_at_once_is_repaired_for_all(self) -> None:
        cluster = Dialogue().started()
        assert cluster.exited(FIRST, -9) + cluster.exited(SECOND, -9) == [worker(5, 1), worker(6, 2)]

    def test_while_the_nest_is_away_waits_for_the_next_nest(self) -> None:
        cluster = Dialogue().started()
        cluster.exited(NEST, -9)
        assert cluster.exited(FIRST, -9) == []
        assert cluster.nest_born(5) == [worker(6, 1, nest=5)]

    def test_that_repeats_is_repaired_after_pauses_that_double_up_to_30_seconds(self) -> None:
        cluster = Dialogue().started()
        peer, pauses = FIRST, []
        for _ in range(9):
            cluster.exited(peer, 1)
            before = cluster.now
            while (forking := max(cluster.supervisor.processes)) and cluster.supervisor.processes[forking].state is ProcessState.WAITING:
                deadline = cluster.supervisor.next_deadline
                assert deadline is not None
                cluster.wait(deadline - cluster.now)
            pauses.append(cluster.now - before)
            peer = forking
            cluster.born(peer)
        assert pauses == [0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]

    def test_after_a_quiet_period_is_the_first_again(self) -> None:
        cluster = Dialogue().started()
        cluster.exited(FIRST, 1)
        cluster.born(5)
        cluster.wait(QUIET_PERIOD)
        assert cluster.exited(5, 1) == [worker(6, 1)]

    def test_of_one_slot_does_not_slow_down_the_others(self) -> None:
        cluster = Dialogue().started()
        cluster.exited(FIRST, 1)
        cluster.born(5)
        assert cluster.exited(5, 1) == []
        assert cluster.exited(SECOND, 1) == [worker(7, 2)]

    def test_is_paused_with_jitter_so_that_slots_do_not_come_back_together(self) -> None:
        cluster = Dialogue(jitter=1.0).started()
        cluster.exited(FIRST, 1)
        cluster.born(5)
        cluster.exited(5, 1)
        assert cluster.wait(0.374) == []
        assert cluster.wait(0.001) == [worker(6, 1)]

    def test_in_boot_after_ready_is_repaired_too(self) -> None:
        cluster = Dialogue().started()
        cluster.exited(FIRST, 1)
        cluster.forked(5)
        cluster.say(ProcessFailed(process=5, failure=BROKEN))
        assert cluster.exited(5, 1) == []
        assert cluster.reports[-1].text == f"{BROKEN.problem}; next try in 0.5 s"
        assert cluster.wait(0.5) == [worker(6, 1)]

    def test_makes_the_master_give_up_if_there_are_more_than_max_restarts(self) -> None:
        cluster = Dialogue(max_restarts=2, max_restarts_period=60.0).started()
        cluster.exited(FIRST, 1)
        cluster.exited(SECOND, 1)
        said = cluster.exited(AGENT, 1)
        assert said[0] == STOPPING
        assert "more than 2 processes died in 60 s" in cluster.reports[-1].text

    def test_is_forgotten_by_max_restarts_after_the_period(self) -> None:
        cluster = Dialogue(max_restarts=1, max_restarts_period=60.0).started()
        cluster.exited(FIRST, 1)
        cluster.wait(60.0)
        assert STOPPING not in cluster.exited(SECOND, 1)

    def test_that_is_reported_late_concerns_nobody(self) -> None:
        cluster = Dialogue().started()
        cluster.exited(FIRST, 1)
        assert cluster.exited(FIRST, 1) == cluster.booted(FIRST) == cluster.say(ChannelLost(process=FIRST)) == []


class TestAForkThatFails:
    def test_is_tried_again_by_the_same_process_after_a_pause(self) -> None:
        cluster = Dialogue().started()
        cluster.exited(FIRST, 1)
        assert cluster.say(ForkFailed(process=5, reason="EAGAIN")) == []
        assert cluster.wait(0.5) == [worker(5, 1)]

    def test_because_its_nest_is_gone_costs_no_pause_and_asks_the_dead_nest_nothing(self) -> None:
        cluster = Dialogue().started()
        cluster.exited(FIRST, 1)
        assert cluster.say(ForkFailed(process=5, reason="its nest died", nest_lost=True)) == []
        assert cluster.exited(NEST, -9) == [StartNest(process=6, generation=1)]
        assert cluster.nest_born(6) == [worker(5, 1, nest=6)]

    def test_is_not_blamed_on_the_process_whose_channel_closed_with_it(self) -> None:
        cluster = Dialogue().started()
        cluster.exited(FIRST, 1)
        cluster.say(ChannelLost(process=5))
        cluster.exited(NEST, -9)
        cluster.say(ForkFailed(process=5, reason="its nest died", nest_lost=True))
        cluster.nest_born(6)
        cluster.born(5)
        assert cluster.wait(CHANNEL_GRACE) == []

    def test_to_be_answered_ends_the_nest(self) -> None:
        cluster = Dialogue().started()
        cluster.exited(FIRST, 1)
        assert cluster.wait(FORK_PATIENCE) == [Kill(process=NEST), StartNest(process=6, generation=1)]


class TestAProcessThatHangs:
    def test_writes_its_stacks_then_is_killed_and_is_replaced_meanwhile(self) -> None:
        cluster = Dialogue().started()
        assert cluster.say(ProcessHung(process=FIRST, seconds=31.0)) == [DumpStacks(process=FIRST), worker(5, 1)]
        assert "worker 1 gen=1 pid=103 hangs: its event loop has been blocked for 31 s" in cluster.reports[-1].text
        assert cluster.wait(DUMP_GRACE) == [Kill(process=FIRST)]
        assert cluster.exited(FIRST, -9) == []

    def test_is_reported_twice_and_ended_once(self) -> None:
        cluster = Dialogue().started()
        cluster.say(ProcessHung(process=FIRST, seconds=31.0))
        assert cluster.say(ProcessHung(process=FIRST, seconds=32.0)) == []

    def test_while_it_boots_is_left_to_the_boot_timeout(self) -> None:
        cluster = Dialogue().started()
        cluster.exited(FIRST, 1)
        cluster.forked(5)
        assert cluster.say(ProcessHung(process=5, seconds=31.0)) == []

    def test_as_the_agent_is_replaced_once_it_is_gone(self) -> None:
        cluster = Dialogue().started()
        assert cluster.say(ProcessHung(process=AGENT, seconds=31.0)) == [DumpStacks(process=AGENT), agent(5)]
        assert cluster.born(5) == []  # two agents are never active
        cluster.wait(DUMP_GRACE)
        assert cluster.exited(AGENT, -9) == [Activate(process=5), TellReady(process=5)]


class TestAMasterThatWasStopped:
    def test_hears_everybody_before_it_looks_at_the_clock(self) -> None:
        cluster = Dialogue(boot_timeout=60.0).started()
        cluster.exited(FIRST, 1)
        cluster.exited(SECOND, 1)
        cluster.forked(5)
        cluster.forked(6)
        cluster.now += 3600.0
        assert cluster.booted(5) == [Activate(process=5), TellReady(process=5)]
        assert cluster.booted(6) == [Activate(process=6), TellReady(process=6)]
        assert cluster.say(TimePassed()) == []


class TestAProcessThatIsOfNoUse:
    def test_because_its_channel_is_closed_is_replaced_if_it_does_not_exit(self) -> None:
        cluster = Dialogue().started()
        assert cluster.say(ChannelLost(process=FIRST)) == []
        assert cluster.wait(CHANNEL_GRACE) == [Kill(process=FIRST), worker(5, 1)]

    def test_because_its_channel_was_closed_before_its_pid_was_known_is_replaced_as_well(self) -> None:
        cluster = Dialogue().started()
        cluster.exited(FIRST, 1)
        cluster.say(ChannelLost(process=5))
        cluster.born(5)
        assert Kill(process=5) in cluster.wait(CHANNEL_GRACE)

    def test_because_it_sends_garbage_is_killed(self) -> None:
        cluster = Dialogue().started()
        assert cluster.say(ProcessMisbehaved(process=FIRST, reason="bad frame")) == [Kill(process=FIRST), worker(5, 1)]
        assert "worker 1 gen=1 pid=103 is replaced: bad frame" in cluster.reports[-1].text

    @pytest.mark.parametrize(
        "lie",
        [
            ProcessBooted(process=FIRST),
            NestImported(process=FIRST, mode=StartMode.SPAWN),
            ProcessBooted(process=NEST),
            NestImported(process=NEST, mode=StartMode.SPAWN),
        ],
    )
    def test_because_it_claims_what_it_is_not_is_killed(self, lie: ProcessBooted | NestImported) -> None:
        cluster = Dialogue().started()
        assert cluster.say(lie)[0] == Kill(process=lie.process)
        peer = 5 if lie.process == FIRST else 6
        if lie.process == NEST:
            cluster.nest_born(5)
            cluster.exited(FIRST, 1)
        # The lie changed nothing about how processes are started.
        assert cluster.supervisor.processes[peer].slot == 1
        assert cluster.forked(peer) == []

    def test_a_ready_process_that_says_it_cannot_boot_is_not_believed(self) -> None:
        cluster = Dialogue().started()
        assert cluster.say(ProcessFailed(process=FIRST, failure=BROKEN)) == []
        cluster.exited(FIRST, -9)
        assert BROKEN.problem not in cluster.reports[-1].text


class TestRecycling:
    def test_has_the_replacement_ready_before_the_old_one_drains(self) -> None:
        cluster = Dialogue().started()
        assert cluster.say(RecycleDue(process=FIRST, reason="10000 requests")) == [worker(5, 1)]
        cluster.forked(5)
        assert cluster.booted(5) == [Activate(process=5), TellReady(process=5), Drain(process=FIRST, closing=False)]
        assert cluster.exited(FIRST) == []

    def test_is_done_one_at_a_time(self) -> None:
        cluster = Dialogue(reload_batch=2).started()
        cluster.say(RecycleDue(process=FIRST, reason="10000 requests"))
        assert cluster.say(RecycleDue(process=SECOND, reason="10000 requests")) == []
        assert cluster.born(5)[-1] == worker(6, 2)

    def test_goes_on_after_a_replacement_that_failed(self) -> None:
        cluster = Dialogue().started()
        cluster.say(RecycleDue(process=FIRST, reason="10000 requests"))
        cluster.forked(5)
        assert cluster.exited(5, 1) == [worker(6, 1)]
        assert Drain(process=FIRST, closing=False) in cluster.born(6)

    def test_makes_room_for_others_while_a_failed_replacement_pauses(self) -> None:
        cluster = Dialogue().started()
        cluster.say(RecycleDue(process=FIRST, reason="10000 requests"))
        cluster.say(RecycleDue(process=SECOND, reason="10000 requests"))
        cluster.forked(5)
        cluster.exited(5, 1)
        cluster.forked(6)
        assert cluster.exited(6, 1) == [worker(7, 2)]
        assert cluster.wait(0.5) == []
        assert worker(8, 1) in cluster.born(7)

    def test_of_a_worker_that_dies_meanwhile_leaves_one_replacement(self) -> None:
        cluster = Dialogue().started()
        cluster.say(RecycleDue(process=FIRST, reason="10000 requests"))
        assert cluster.exited(FIRST, -9) == []
        assert cluster.born(5) == [Activate(process=5), TellReady(process=5)]

    def test_that_is_said_twice_is_done_once(self) -> None:
        cluster = Dialogue().started()
        cluster.say(RecycleDue(process=FIRST, reason="10000 requests"))
        assert cluster.say(RecycleDue(process=FIRST, reason="too big")) == []


class TestScale:
    def test_up_answers_once_the_new_ones_serve(self) -> None:
        cluster = Dialogue().started()
        assert cluster.say(ScaleRequested(workers=3, request=7)) == [SetSlots(count=3), worker(5, 3)]
        assert cluster.born(5)[-1] == Answer(request=7, text="3 workers")

    def test_down_drains_the_last_slots(self) -> None:
        cluster = Dialogue().started()
        said = cluster.say(ScaleRequested(workers=1, request=7))
        assert said == [Drain(process=SECOND, closing=False), SetSlots(count=1), Answer(request=7, text="1 workers")]
        assert cluster.exited(SECOND) == []

    def test_relative_never_goes_below_one(self) -> None:
        cluster = Dialogue().started()
        cluster.say(ScaleRequested(workers=-5, relative=True))
        assert cluster.supervisor.slots == 1

    @pytest.mark.parametrize("workers", [0, -1])
    def test_to_nothing_is_refused(self, workers: int) -> None:
        cluster = Dialogue().started()
        (answer,) = cluster.say(ScaleRequested(workers=workers, request=7))
        assert isinstance(answer, Answer)
        assert answer.failure is not None
        assert cluster.supervisor.slots == 2

    def test_says_so_if_a_new_worker_does_not_boot(self) -> None:
        cluster = Dialogue().started()
        cluster.say(ScaleRequested(workers=3, request=7))
        cluster.forked(5)
        cluster.say(ProcessFailed(process=5, failure=BROKEN))
        assert Answer(request=7, text="failed", failure=BROKEN) in cluster.exited(5, 1)

    def test_up_again_while_the_old_worker_of_the_slot_still_drains(self) -> None:
        cluster = Dialogue().started()
        cluster.say(ScaleRequested(workers=1))
        assert cluster.say(ScaleRequested(workers=2)) == [SetSlots(count=2), worker(5, 2)]
        assert cluster.born(5) == [Activate(process=5), TellReady(process=5)]


class TestKickAndRestartAgent:
    def test_a_kicked_worker_is_replaced_before_it_leaves(self) -> None:
        cluster = Dialogue().started()
        assert cluster.say(KickRequested(slot=1, request=7)) == [worker(5, 1)]
        cluster.forked(5)
        assert cluster.booted(5) == [
            Activate(process=5),
            TellReady(process=5),
            Drain(process=FIRST, closing=False),
            Answer(request=7, text="worker 1 gen=1 pid=105 is ready"),
        ]

    def test_a_kick_ends_the_pause_after_deaths(self) -> None:
        cluster = Dialogue().started()
        cluster.exited(FIRST, 1)
        cluster.born(5)
        assert cluster.exited(5, 1) == []
        assert cluster.say(KickRequested(slot=1, request=7)) == [worker(6, 1)]
        assert cluster.born(6)[-1] == Answer(request=7, text="worker 1 gen=1 pid=106 is ready")

    def test_a_kick_of_no_slot_is_refused(self) -> None:
        cluster = Dialogue().started()
        hint = "there are slots 1 to 2"
        assert cluster.say(KickRequested(slot=3, request=7)) == [
            Answer(request=7, text="refused", failure=Failure(problem="there is no slot 3", hint=hint))
        ]

    def test_a_kick_whose_replacement_fails_is_answered_with_its_failure(self) -> None:
        cluster = Dialogue().started()
        cluster.say(KickRequested(slot=1, request=7))
        cluster.forked(5)
        cluster.say(ProcessFailed(process=5, failure=BROKEN))
        assert cluster.exited(5, 1) == [Answer(request=7, text="failed", failure=BROKEN)]

    def test_a_kick_is_answered_when_the_nest_it_needs_fails(self) -> None:
        cluster = Dialogue().started()
        cluster.exited(NEST, 1)
        cluster.say(KickRequested(slot=1, request=7))
        cluster.forked(5)
        cluster.say(ProcessFailed(process=5, failure=BROKEN))
        assert Answer(request=7, text="failed", failure=BROKEN) in cluster.exited(5, 1)

    def test_two_kicks_of_a_slot_are_one_and_both_are_answered(self) -> None:
        cluster = Dialogue().started()
        cluster.say(KickRequested(slot=1, request=7))
        assert cluster.say(KickRequested(slot=1, request=8)) == []
        assert [command.request for command in cluster.born(5) if isinstance(command, Answer)] == [7, 8]

    def test_a_new_agent_is_told_nothing_before_the_old_one_is_gone(self) -> None:
        cluster = Dialogue().started()
        assert cluster.say(AgentRestartRequested(request=7)) == [agent(5)]
        assert cluster.born(5) == [Drain(process=AGENT, closing=False)]
        assert cluster.exited(AGENT) == [
            Activate(process=5),
            TellReady(process=5),
            Answer(request=7, text="agent gen=1 pid=105 is ready"),
        ]

    def test_a_restart_of_no_agent_is_refused(self) -> None:
        cluster = Dialogue(agent=False).started()
        (answer,) = cluster.say(AgentRestartRequested(request=7))
        assert isinstance(answer, Answer)
        assert answer.failure is not None
        assert "--no-agent" in answer.failure.hint

    def test_what_is_asked_for_during_the_start_is_done_after_it(self) -> None:
        cluster = Dialogue()
        at_a_worker(cluster)
        assert cluster.say(ScaleRequested(workers=3, request=7)) == []
        assert cluster.say(KickRequested(slot=1, request=8)) == []
        said = cluster.booted(SECOND)
        assert said.index(READY) < said.index(SetSlots(count=3))
        assert worker(5, 3) in said


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
