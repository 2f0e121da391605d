"""Recycling, scale, kick and restart-agent, sentence by sentence of the design."""

from __future__ import annotations

import pytest
from tests.unit.cluster.dialogue import AGENT, BROKEN, FIRST, NEST, SECOND, Dialogue, agent, worker

from tamago.cluster.events import (
    Activate,
    AgentRestartRequested,
    Answer,
    Drain,
    EnterState,
    Failure,
    KickRequested,
    ProcessFailed,
    RecycleDue,
    ScaleRequested,
    SetSlots,
    StartRequested,
    TellReady,
)
from tamago.cluster.states import ClusterState

READY = EnterState(state=ClusterState.READY)


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
        cluster = Dialogue(agent=False)
        cluster.say(StartRequested())
        cluster.nest_born(NEST)
        cluster.born(2)
        cluster.forked(3)
        assert cluster.say(ScaleRequested(workers=3, request=7)) == []
        assert cluster.say(KickRequested(slot=1, request=8)) == []
        said = cluster.booted(3)
        assert said.index(READY) < said.index(SetSlots(count=3))
        assert worker(4, 3) in said
