"""Deaths, hangs and lies after READY, sentence by sentence of the design: everything is repaired."""

from __future__ import annotations

import pytest
from tests.unit.cluster.dialogue import AGENT, BROKEN, FIRST, NEST, SECOND, Dialogue, agent, worker

from tamago.cluster.events import (
    Activate,
    ChannelLost,
    DumpStacks,
    EnterState,
    ForkFailed,
    Kill,
    NestImported,
    ProcessBooted,
    ProcessFailed,
    ProcessHung,
    ProcessMisbehaved,
    RecycleDue,
    StartMode,
    StartNest,
    TellReady,
    TimePassed,
)
from tamago.cluster.policy import CHANNEL_GRACE, DUMP_GRACE, FORK_PATIENCE, QUIET_PERIOD
from tamago.cluster.states import ClusterState, ProcessState

STOPPING = EnterState(state=ClusterState.STOPPING)


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

    def test_is_not_blamed_on_the_next_try_either_if_the_channel_closes_late(self) -> None:
        cluster = Dialogue().started()
        cluster.exited(FIRST, 1)
        cluster.say(ForkFailed(process=5, reason="EAGAIN"))
        cluster.say(ChannelLost(process=5))
        cluster.wait(0.5)
        cluster.born(5)
        assert cluster.wait(CHANNEL_GRACE) == []

    def test_is_not_blamed_on_the_process_whose_channel_closed_with_it(self) -> None:
        cluster = Dialogue().started()
        cluster.exited(FIRST, 1)
        cluster.say(ChannelLost(process=5))
        cluster.exited(NEST, -9)
        cluster.say(ForkFailed(process=5, reason="its nest died", nest_lost=True))
        cluster.nest_born(6)
        cluster.born(5)
        assert cluster.wait(CHANNEL_GRACE) == []

    def test_leaves_no_trace_of_what_was_said_before_it(self) -> None:
        cluster = Dialogue().started()
        cluster.exited(FIRST, 1)
        cluster.booted(5)
        cluster.say(ForkFailed(process=5, reason="its nest died", nest_lost=True))
        cluster.exited(NEST, -9)
        cluster.nest_born(6)
        assert cluster.forked(5) == []
        assert cluster.booted(5) == [Activate(process=5), TellReady(process=5)]

    def test_of_a_replacement_gives_others_their_turn(self) -> None:
        cluster = Dialogue().started()
        cluster.say(RecycleDue(process=FIRST, reason="10000 requests"))
        cluster.say(RecycleDue(process=SECOND, reason="10000 requests"))
        assert cluster.say(ForkFailed(process=5, reason="EAGAIN")) == [worker(6, 1)]
        assert cluster.say(ForkFailed(process=6, reason="EAGAIN")) == [worker(7, 2)]

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

    def test_because_its_channel_is_closed_gains_no_time_by_closing_it_again(self) -> None:
        cluster = Dialogue().started()
        cluster.say(ChannelLost(process=FIRST))
        cluster.wait(CHANNEL_GRACE / 2)
        cluster.say(ChannelLost(process=FIRST))
        assert Kill(process=FIRST) in cluster.wait(CHANNEL_GRACE / 2)

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
