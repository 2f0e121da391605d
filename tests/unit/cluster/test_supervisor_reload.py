"""Reload, sentence by sentence of the design: a new generation comes slot by slot, or everything is as it was."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.unit.cluster.dialogue import AGENT, BROKEN, FIRST, NEST, SECOND, Dialogue, agent, worker

from tamago.cluster.events import (
    Activate,
    Answer,
    Command,
    Drain,
    DumpStacks,
    EnterState,
    Fork,
    KickRequested,
    Kill,
    ProcessFailed,
    ProcessHung,
    RecycleDue,
    ReloadRequested,
    ScaleRequested,
    SetSlots,
    StartNest,
    StopRequested,
    TellReady,
    Terminate,
)
from tamago.cluster.states import ClusterState, ProcessState
from tamago.types import Role

READY = EnterState(state=ClusterState.READY)
RELOADING = EnterState(state=ClusterState.RELOADING)
STOPPING = EnterState(state=ClusterState.STOPPING)

# Who comes in a reload of a cluster that has just started.
NEW_NEST, NEW_AGENT, NEW_FIRST, NEW_SECOND = 5, 6, 7, 8


def reload(cluster: Dialogue, request: int = 7) -> Dialogue:
    cluster.say(ReloadRequested(request=request))
    return cluster


def with_the_nest(cluster: Dialogue) -> Dialogue:
    reload(cluster).nest_born(NEW_NEST)
    return cluster


def with_the_agent(cluster: Dialogue) -> Dialogue:
    with_the_nest(cluster).born(NEW_AGENT)
    cluster.exited(AGENT)
    return cluster


def with_a_worker(cluster: Dialogue) -> Dialogue:
    with_the_agent(cluster).born(NEW_FIRST)
    cluster.exited(FIRST)
    return cluster


def with_everybody(cluster: Dialogue) -> Dialogue:
    with_a_worker(cluster).born(NEW_SECOND)
    return cluster


def answers(said: list[Command]) -> list[Answer]:
    return [command for command in said if isinstance(command, Answer)]


def generations(cluster: Dialogue, *roles: Role) -> set[int]:
    staying = [process for process in cluster.supervisor.processes.values() if not process.is_leaving]
    return {process.generation for process in staying if not roles or process.role in roles}


class TestAReload:
    def test_brings_nest_agent_and_workers_one_after_the_other(self) -> None:
        cluster = Dialogue().started()
        assert cluster.say(ReloadRequested(request=7)) == [RELOADING, StartNest(process=NEW_NEST, generation=2)]
        assert cluster.nest_born(NEW_NEST) == [agent(NEW_AGENT, generation=2, nest=NEW_NEST)]
        assert cluster.born(NEW_AGENT) == [Drain(process=AGENT, closing=False)]
        assert cluster.exited(AGENT) == [
            Activate(process=NEW_AGENT),
            TellReady(process=NEW_AGENT),
            worker(NEW_FIRST, 1, generation=2, nest=NEW_NEST),
        ]
        assert cluster.born(NEW_FIRST) == [
            Activate(process=NEW_FIRST),
            TellReady(process=NEW_FIRST),
            Drain(process=FIRST, closing=False),
            worker(NEW_SECOND, 2, generation=2, nest=NEW_NEST),
        ]
        assert cluster.born(NEW_SECOND) == [
            Activate(process=NEW_SECOND),
            TellReady(process=NEW_SECOND),
            Drain(process=SECOND, closing=False),
            Terminate(process=NEST),
            READY,
            Answer(request=7, text="generation 2 serves"),
        ]
        assert cluster.supervisor.generation == 2

    def test_does_not_wait_for_old_workers_that_drain(self) -> None:
        cluster = Dialogue().started()
        with_the_agent(cluster).born(NEW_FIRST, NEW_SECOND)
        assert cluster.supervisor.state is ClusterState.READY
        assert {cluster.supervisor.processes[peer].state for peer in (FIRST, SECOND)} == {ProcessState.DRAINING}

    def test_replaces_as_many_workers_at_a_time_as_the_batch(self) -> None:
        cluster = Dialogue(workers=3, reload_batch=2, agent=False).started()
        reload(cluster)
        said = cluster.nest_born(5)
        assert [command.slot for command in said if isinstance(command, Fork)] == [1, 2]
        assert [command.slot for command in cluster.born(7) if isinstance(command, Fork)] == [3]

    def test_kills_who_did_not_drain_in_time(self) -> None:
        cluster = with_everybody(Dialogue(stop_timeout=30.0).started())
        assert Kill(process=SECOND) in cluster.wait(30.0)

    def test_forgives_the_deaths_of_the_old_code(self) -> None:
        cluster = Dialogue(agent=False).started()
        cluster.exited(2, 1)
        cluster.born(4)
        assert cluster.exited(4, 1) == []  # a pause
        reload(cluster)
        assert worker(7, 1, generation=2, nest=6) in cluster.nest_born(6)

    def test_may_change_the_number_of_workers(self) -> None:
        cluster = Dialogue(agent=False).started()
        cluster.say(ReloadRequested(workers=3, request=7))
        cluster.nest_born(4)
        cluster.born(5)
        said = cluster.born(6)
        assert SetSlots(count=3) in said
        assert worker(7, 3, generation=2, nest=4) in said

    def test_replaces_also_who_is_not_up(self) -> None:
        cluster = Dialogue(agent=False).started()
        cluster.exited(2, 1)  # worker 4 is asked for
        reload(cluster)
        assert worker(6, 1, generation=2, nest=5) in cluster.nest_born(5)
        assert Terminate(process=4) not in cluster.forked(4)
        assert Terminate(process=4) in cluster.born(6)

    def test_repairs_a_death_of_the_old_generation_meanwhile(self) -> None:
        cluster = reload(Dialogue().started())
        assert cluster.exited(SECOND, 1) == [worker(6, 2)]

    def test_keeps_the_messages_of_a_slot_flowing_if_its_old_worker_dies_meanwhile(self) -> None:
        cluster = with_the_agent(Dialogue().started())
        # Its replacement takes the slot, and the next slot has its turn.
        assert cluster.exited(FIRST, 1) == [worker(NEW_SECOND, 2, generation=2, nest=NEW_NEST)]
        assert cluster.born(NEW_FIRST) == [Activate(process=NEW_FIRST), TellReady(process=NEW_FIRST)]


class TestARollBack:
    @pytest.mark.parametrize(
        ("so_far", "victim"),
        [(reload, NEW_NEST), (with_the_nest, NEW_AGENT), (with_the_agent, NEW_FIRST), (with_a_worker, NEW_SECOND)],
        ids=["nest", "agent", "first worker", "last worker"],
    )
    @pytest.mark.parametrize("death", ["says why", "dies", "hangs"])
    def test_follows_the_failure_of_anybody_who_comes(self, so_far: Callable[[Dialogue], Dialogue], victim: int, death: str) -> None:
        cluster = so_far(Dialogue(boot_timeout=60.0).started())
        cluster.forked(victim)
        if death == "hangs":
            said = cluster.wait(60.0)
            assert DumpStacks(process=victim) in said
        else:
            if death == "says why":
                cluster.say(ProcessFailed(process=victim, failure=BROKEN))
            said = cluster.exited(victim, 1)
        said += self.go_back(cluster)
        (answer,) = answers(said)
        assert answer.failure is not None
        assert (answer.failure == BROKEN) == (death == "says why")
        assert cluster.supervisor.state is ClusterState.READY
        assert cluster.supervisor.generation == 1
        assert generations(cluster) == {1}

    def go_back(self, cluster: Dialogue) -> list[Command]:
        """Have everybody who is asked for appear, and everybody who is told to leave go."""
        said: list[Command] = []
        while cluster.supervisor.state is ClusterState.RELOADING:
            for process in list(cluster.supervisor.processes.values()):
                if process.state is ProcessState.FORKING:
                    said += cluster.born(process.peer)
                elif process.state is ProcessState.DRAINING:
                    said += cluster.exited(process.peer)
        return said

    def test_leaves_the_old_workers_alone_if_no_slot_was_switched(self) -> None:
        cluster = reload(Dialogue().started())
        cluster.forked(NEW_NEST)
        cluster.say(ProcessFailed(process=NEW_NEST, failure=BROKEN))
        assert cluster.exited(NEW_NEST, 1) == [READY, Answer(request=7, text="rolled back", failure=BROKEN)]

    def test_refills_switched_slots_from_the_old_nest_before_their_new_workers_drain(self) -> None:
        cluster = with_a_worker(Dialogue().started())
        cluster.forked(NEW_SECOND)
        assert cluster.exited(NEW_SECOND, 1) == [Terminate(process=NEW_NEST), agent(9)]
        assert cluster.born(9) == [Drain(process=NEW_AGENT, closing=False)]
        assert cluster.exited(NEW_AGENT) == [Activate(process=9), TellReady(process=9), worker(10, 1)]
        said = cluster.born(10)
        assert said[:3] == [Activate(process=10), TellReady(process=10), Drain(process=NEW_FIRST, closing=False)]
        assert cluster.supervisor.state is ClusterState.READY

    def test_follows_the_death_of_a_new_worker_that_serves_already(self) -> None:
        cluster = with_a_worker(Dialogue().started())
        said = cluster.exited(NEW_FIRST, -11)
        assert Terminate(process=NEW_NEST) in said
        assert worker(9, 1) in said

    def test_follows_the_hang_of_a_new_worker_that_serves_already(self) -> None:
        cluster = with_a_worker(Dialogue().started())
        assert Terminate(process=NEW_NEST) in cluster.say(ProcessHung(process=NEW_FIRST, seconds=31.0))

    def test_answers_even_if_the_way_back_is_barred(self) -> None:
        cluster = with_a_worker(Dialogue().started())
        cluster.forked(NEW_SECOND)
        cluster.exited(NEST, -9)  # the old nest is gone as well, and the code on the disk is broken
        cluster.say(ProcessFailed(process=NEW_SECOND, failure=BROKEN))
        cluster.say(KickRequested(slot=1, request=8))
        assert answers(cluster.exited(NEW_SECOND, 1)) == []
        cluster.forked(9)
        assert [answer.request for answer in answers(cluster.exited(9, 1))] == [7, 8]

    def test_does_not_forget_who_was_to_be_recycled_or_kicked(self) -> None:
        cluster = Dialogue().started()
        cluster.say(RecycleDue(process=SECOND, reason="10000 requests"))
        cluster.say(KickRequested(slot=1, request=8))
        reload(cluster)
        cluster.forked(6)
        said = cluster.exited(6, 1)
        assert READY in said
        assert worker(7, 1) in said
        said = cluster.born(7)
        assert answers(said)[0].request == 8
        assert worker(8, 2) in said

    def test_stops_if_it_is_told_to(self) -> None:
        cluster = with_a_worker(Dialogue().started())
        cluster.forked(NEW_SECOND)
        cluster.exited(NEW_SECOND, 1)
        said = cluster.say(StopRequested(request=9))
        assert said[0] == STOPPING
        assert [answer.request for answer in answers(said)] == [7]


class TestRequestsDuringAReload:
    def test_however_many_reloads_are_asked_for_meanwhile_one_more_follows_and_answers_all(self) -> None:
        cluster = reload(Dialogue(agent=False).started())
        for request in (8, 9, 10):
            assert cluster.say(ReloadRequested(request=request)) == []
        cluster.nest_born(4)
        cluster.born(5)
        said = cluster.born(6)
        assert said[-4:] == [READY, Answer(request=7, text="generation 2 serves"), RELOADING, StartNest(process=7, generation=3)]
        cluster.nest_born(7)
        cluster.born(8)
        assert [answer.request for answer in answers(cluster.born(9))] == [8, 9, 10]
        assert cluster.supervisor.generation == 3

    def test_the_number_of_workers_one_of_them_asked_for_is_kept(self) -> None:
        cluster = reload(Dialogue(agent=False).started())
        cluster.say(ReloadRequested(request=8, workers=5))
        cluster.say(ReloadRequested(request=9))
        cluster.nest_born(4)
        cluster.born(5, 6)
        cluster.nest_born(7)
        assert SetSlots(count=5) in cluster.born(8, 9)

    def test_the_one_that_waits_is_tried_also_after_a_failure(self) -> None:
        cluster = reload(Dialogue().started())
        cluster.say(ReloadRequested(request=8))
        cluster.forked(NEW_NEST)
        assert cluster.exited(NEW_NEST, 1)[-2:] == [RELOADING, StartNest(process=6, generation=3)]

    def test_a_reload_during_the_start_follows_it(self) -> None:
        cluster = Dialogue(workers=1, agent=False)
        cluster.say(ReloadRequested(request=7))
        cluster.started_meanwhile()
        assert cluster.supervisor.state is ClusterState.RELOADING

    def test_scale_and_kick_wait_until_it_is_over(self) -> None:
        cluster = reload(Dialogue(agent=False).started())
        assert cluster.say(ScaleRequested(workers=3, request=8)) == []
        assert cluster.say(KickRequested(slot=1, request=9)) == []
        cluster.nest_born(4)
        cluster.born(5)
        said = cluster.born(6)
        assert said.index(READY) < said.index(SetSlots(count=3))
        assert {command.slot for command in said if isinstance(command, Fork)} == {1, 3}


class TestGenerations:
    def test_the_first_workers_of_a_third_one_make_those_of_the_first_finish_now(self) -> None:
        cluster = with_everybody(Dialogue().started())
        assert cluster.supervisor.processes[SECOND].state is ProcessState.DRAINING
        said = cluster.say(ReloadRequested(request=8)) + cluster.nest_born(9) + cluster.born(10)
        assert not any(isinstance(command, Kill) for command in said)
        said = cluster.exited(NEW_AGENT)
        assert said[-3:] == [Kill(process=NEST), Kill(process=SECOND), worker(11, 1, generation=3, nest=9)]

    def test_a_replacement_after_a_reload_lets_the_old_ones_finish(self) -> None:
        cluster = with_everybody(Dialogue().started())
        assert cluster.say(RecycleDue(process=NEW_FIRST, reason="10000 requests")) == [worker(9, 1, generation=2, nest=NEW_NEST)]

    def test_a_reload_gives_up_a_replacement_of_the_old_code_that_is_not_up_yet(self) -> None:
        cluster = Dialogue().started()
        cluster.say(RecycleDue(process=FIRST, reason="10000 requests"))
        cluster.forked(5)
        assert Terminate(process=5) in cluster.say(ReloadRequested(request=7))


class TestAStopDuringAReload:
    def test_ends_both_generations_and_answers_the_reload(self) -> None:
        cluster = with_a_worker(Dialogue().started())
        cluster.forked(NEW_SECOND)
        said = cluster.say(StopRequested(request=9))
        assert said[0] == STOPPING
        assert answers(said)[0].request == 7
        assert said[-3:] == [
            Drain(process=SECOND, closing=True),
            Drain(process=NEW_FIRST, closing=True),
            Terminate(process=NEW_SECOND),
        ]
        for peer in (SECOND, NEW_FIRST):
            cluster.exited(peer)
        assert cluster.exited(NEW_SECOND) == [Drain(process=NEW_AGENT, closing=True)]
        assert cluster.exited(NEW_AGENT) == [Terminate(process=NEST), Terminate(process=NEW_NEST)]
