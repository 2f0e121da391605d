"""Stop, sentence by sentence of the design: workers, agent, nest, and then nobody is left."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.cluster.dialogue import AGENT, FIRST, NEST, SECOND, Dialogue, worker

from tamago.cluster.events import (
    AgentRestartRequested,
    Answer,
    CloseListeners,
    Command,
    Drain,
    DumpStacks,
    EnterState,
    Event,
    Exit,
    ForkFailed,
    KickRequested,
    Kill,
    ProcessHung,
    ProcessMisbehaved,
    ReloadRequested,
    ScaleRequested,
    StartNest,
    StartRequested,
    StopRequested,
    Terminate,
)
from tamago.cluster.policy import DUMP_GRACE, FORK_PATIENCE, KILL_PATIENCE, NEST_PATIENCE
from tamago.cluster.states import ClusterState

STOPPING = EnterState(state=ClusterState.STOPPING)
STOPPED = EnterState(state=ClusterState.STOPPED)
DRAINS = [Drain(process=FIRST, closing=True), Drain(process=SECOND, closing=True)]


def stopping(**policy: Any) -> Dialogue:
    cluster = Dialogue(**policy).started()
    cluster.say(StopRequested(request=7))
    return cluster


def exit_of(said: list[Command]) -> Exit:
    assert isinstance(said[-1], Exit)
    return said[-1]


class TestAStop:
    def test_goes_from_the_workers_to_the_agent_to_the_nest(self) -> None:
        cluster = Dialogue().started()
        assert cluster.say(StopRequested(request=7)) == [STOPPING, CloseListeners(), *DRAINS]
        assert cluster.exited(SECOND) == []
        assert cluster.exited(FIRST) == [Drain(process=AGENT, closing=True)]
        assert cluster.exited(AGENT) == [Terminate(process=NEST)]
        assert cluster.exited(NEST, -15) == [STOPPED, Answer(request=7, text="stopped"), Exit(code=0, killed=0)]
        assert cluster.supervisor.next_deadline is None

    def test_during_the_start_ends_who_is_there(self) -> None:
        cluster = Dialogue(drain_delay=5.0)
        cluster.say(StartRequested())
        cluster.nest_born(NEST)
        cluster.forked(AGENT)
        assert cluster.say(StopRequested(request=7)) == [STOPPING, CloseListeners(), Terminate(process=AGENT)]
        assert cluster.exited(AGENT, -15) == [Terminate(process=NEST)]
        assert exit_of(cluster.exited(NEST, -15)) == Exit(code=0, killed=0)

    def test_waits_for_a_process_that_is_just_being_forked_and_ends_it(self) -> None:
        cluster = Dialogue().started()
        cluster.exited(FIRST, 1)
        cluster.say(StopRequested())
        cluster.exited(SECOND)
        assert cluster.forked(5) == [Terminate(process=5)]  # by now it may even serve
        assert cluster.exited(5, -9) == [Drain(process=AGENT, closing=True)]

    @pytest.mark.parametrize("nest_lost", [True, False])
    def test_does_not_wait_for_a_process_that_could_not_be_forked(self, nest_lost: bool) -> None:
        cluster = Dialogue().started()
        cluster.exited(FIRST, 1)
        cluster.say(StopRequested())
        cluster.exited(SECOND)
        assert cluster.say(ForkFailed(process=5, reason="EAGAIN", nest_lost=nest_lost)) == [Drain(process=AGENT, closing=True)]

    def test_kills_a_nest_that_does_not_answer(self) -> None:
        cluster = Dialogue().started()
        cluster.exited(FIRST, 1)
        cluster.say(StopRequested())
        cluster.exited(SECOND)
        assert cluster.wait(FORK_PATIENCE) == [Kill(process=NEST)]
        assert cluster.exited(NEST, -9) == []
        assert cluster.say(ForkFailed(process=5, reason="its nest died", nest_lost=True)) == [Drain(process=AGENT, closing=True)]

    def test_repairs_nothing_once_the_workers_leave(self) -> None:
        cluster = stopping()
        assert cluster.exited(AGENT, -9) == []
        assert cluster.exited(NEST, -9) == []
        assert cluster.exited(FIRST, -9) == []
        assert exit_of(cluster.exited(SECOND)) == Exit(code=0, killed=0)

    def test_answers_everybody_who_waits(self) -> None:
        cluster = Dialogue().started()
        cluster.say(KickRequested(slot=1, request=1))
        cluster.say(ScaleRequested(workers=3, request=2))
        cluster.say(AgentRestartRequested(request=3))
        cluster.say(ReloadRequested(request=4))
        cluster.say(ReloadRequested(request=5))
        cluster.say(KickRequested(slot=2, request=6))
        said = cluster.say(StopRequested(request=7))
        given_up = {command.request for command in said if isinstance(command, Answer) and command.failure is not None}
        assert given_up == {1, 2, 3, 4, 5, 6}

    @pytest.mark.parametrize(
        "event",
        [
            ReloadRequested(request=8),
            ScaleRequested(workers=3, request=8),
            KickRequested(slot=1, request=8),
            AgentRestartRequested(request=8),
        ],
        ids=lambda event: type(event).__name__,
    )
    def test_refuses_whatever_is_asked_for_meanwhile(self, event: Event) -> None:
        (answer,) = stopping().say(event)
        assert isinstance(answer, Answer)
        assert (answer.request, answer.failure is None) == (8, False)

    def test_may_bring_a_timeout_of_its_own(self) -> None:
        cluster = Dialogue(stop_timeout=30.0).started()
        cluster.say(StopRequested(timeout=3.0))
        assert Kill(process=FIRST) in cluster.wait(3.0)


class TestWhoDoesNotLeave:
    def test_is_killed_after_the_stop_timeout_and_counted(self) -> None:
        cluster = stopping(stop_timeout=30.0)
        cluster.exited(SECOND)
        assert cluster.wait(29.9) == []
        assert cluster.wait(0.1) == [Kill(process=FIRST)]
        assert cluster.exited(FIRST, -9) == [Drain(process=AGENT, closing=True)]
        cluster.exited(AGENT)
        assert cluster.exited(NEST, -15)[-2:] == [Answer(request=7, text="stopped, 1 killed"), Exit(code=0, killed=1)]

    def test_has_a_timeout_per_phase(self) -> None:
        cluster = stopping(stop_timeout=30.0)
        cluster.wait(29.0)
        cluster.exited(FIRST)
        cluster.exited(SECOND)
        assert cluster.wait(29.9) == []
        assert cluster.wait(0.1) == [Kill(process=AGENT)]

    def test_as_a_nest_is_not_waited_for_long_and_not_counted(self) -> None:
        cluster = stopping(stop_timeout=30.0)
        for peer in (FIRST, SECOND, AGENT):
            cluster.exited(peer)
        assert cluster.wait(NEST_PATIENCE) == [Kill(process=NEST)]
        assert exit_of(cluster.exited(NEST, -9)) == Exit(code=0, killed=0)

    def test_but_sends_garbage_is_killed_once_and_counted(self) -> None:
        cluster = stopping(workers=1, agent=False)
        assert cluster.say(ProcessMisbehaved(process=2, reason="bad frame")) == [Kill(process=2)]
        assert cluster.say(ProcessMisbehaved(process=2, reason="bad frame")) == []
        cluster.exited(2, -9)
        assert exit_of(cluster.exited(NEST, -15)).killed == 1

    def test_after_a_reload_does_not_count_in_the_stop(self) -> None:
        cluster = Dialogue(agent=False, workers=1, stop_timeout=30.0).started()
        cluster.say(ReloadRequested())
        cluster.nest_born(3)
        cluster.born(4)
        cluster.exited(NEST)
        assert cluster.wait(30.0) == [Kill(process=2)]
        cluster.exited(2, -9)
        cluster.say(StopRequested())
        cluster.exited(4)
        assert exit_of(cluster.exited(3, -15)).killed == 0

    def test_by_sigkill_is_killed_again_and_then_left_to_the_kernel(self) -> None:
        cluster = stopping(stop_timeout=30.0, workers=1, agent=False)
        cluster.wait(30.0)
        said = cluster.wait(KILL_PATIENCE)
        assert said == [Terminate(process=NEST)]
        assert "does not even die of SIGKILL" in cluster.reports[-1].text


class TestASecondStop:
    def test_kills_everybody_now(self) -> None:
        cluster = stopping()
        said = cluster.say(StopRequested(request=8))
        assert said == [Kill(process=NEST), Kill(process=AGENT), Kill(process=FIRST), Kill(process=SECOND)]
        for peer in (NEST, AGENT, FIRST):
            assert cluster.exited(peer, -9) == []
        assert cluster.exited(SECOND, -9) == [
            STOPPED,
            Answer(request=7, text="stopped, 3 killed"),
            Answer(request=8, text="stopped, 3 killed"),
            Exit(code=0, killed=3),
        ]

    def test_is_not_needed_if_the_first_says_now(self) -> None:
        cluster = Dialogue(drain_delay=60.0).started()
        said = cluster.say(StopRequested(now=True))
        assert [type(command) for command in said] == [EnterState, CloseListeners, Kill, Kill, Kill, Kill]

    def test_lets_who_hangs_finish_writing_its_stacks(self) -> None:
        cluster = Dialogue().started()
        assert DumpStacks(process=FIRST) in cluster.say(ProcessHung(process=FIRST, seconds=31.0))
        assert Kill(process=FIRST) not in cluster.say(StopRequested(now=True))
        assert cluster.wait(DUMP_GRACE) == [Kill(process=FIRST)]

    def test_ends_who_is_just_being_forked_as_soon_as_it_has_a_pid(self) -> None:
        cluster = Dialogue().started()
        cluster.exited(FIRST, 1)
        cluster.say(StopRequested(now=True))
        for peer in (NEST, AGENT, SECOND):
            cluster.exited(peer, -9)
        assert cluster.forked(5) == [Kill(process=5)]
        assert exit_of(cluster.exited(5, -9)).code == 0

    def test_does_not_wait_for_who_was_called_back_before(self) -> None:
        cluster = Dialogue(stop_timeout=30.0).started()
        cluster.say(KickRequested(slot=1, request=1))
        cluster.say(ReloadRequested(request=2))
        assert cluster.forked(5) == [Terminate(process=5)]
        assert Kill(process=FIRST) in cluster.say(StopRequested(now=True))
        assert Kill(process=5) in cluster.wait(DUMP_GRACE)

    def test_cuts_the_drain_delay_short(self) -> None:
        cluster = stopping(drain_delay=60.0)
        assert Kill(process=FIRST) in cluster.say(StopRequested())


class TestTheDrainDelay:
    def test_keeps_everybody_serving(self) -> None:
        cluster = Dialogue(drain_delay=5.0).started()
        assert cluster.say(StopRequested()) == [STOPPING]
        assert cluster.wait(4.9) == []
        assert cluster.wait(0.1) == [CloseListeners(), *DRAINS]

    def test_repairs_deaths_meanwhile(self) -> None:
        cluster = Dialogue(drain_delay=5.0).started()
        cluster.say(StopRequested())
        assert cluster.exited(FIRST, 1) == [worker(5, 1)]
        assert cluster.exited(NEST, 1) == [StartNest(process=6, generation=1)]

    def test_is_not_for_a_start_that_failed(self) -> None:
        cluster = Dialogue(drain_delay=5.0)
        cluster.say(StartRequested())
        cluster.forked(NEST)
        assert exit_of(cluster.exited(NEST, 1)).code == 1
