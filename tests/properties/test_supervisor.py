"""The supervisor in a world where everything may go wrong, at any moment. The laws are in laws.py, the endings in endings.py."""

from __future__ import annotations

import gc
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test
from tests.properties.children import Child, DisobedienceError
from tests.properties.endings import recovers, stops
from tests.properties.laws import obey_the_laws
from tests.properties.nature import BootFate, ForkFate, Kind
from tests.properties.simulate import simulate
from tests.properties.world import World

from tamago.cluster.events import (
    AgentRestartRequested,
    ChannelLost,
    Drain,
    Event,
    Failure,
    Fork,
    KickRequested,
    Kill,
    NestImported,
    ProcessBooted,
    ProcessFailed,
    ProcessHung,
    ProcessMisbehaved,
    RecycleDue,
    ReloadRequested,
    ScaleRequested,
    StartMode,
    StopRequested,
    TellReady,
    TimePassed,
)
from tamago.cluster.policy import Policy
from tamago.types import Role

CHUNK = 250


@pytest.mark.slow
@pytest.mark.parametrize("first", range(0, 2_000, CHUNK))
def test_the_laws_hold_under_random_fault_schedules(first: int) -> None:
    """`python -m tests.properties.simulate --schedules 100000` runs more of them."""
    for seed in range(first, first + CHUNK):
        simulate(seed, steps=120)


def test_a_schedule_is_its_seed() -> None:
    assert simulate(7, steps=60).transcript == simulate(7, steps=60).transcript


SAYINGS = st.sampled_from(
    (
        lambda peer: ProcessBooted(process=peer),
        lambda peer: NestImported(process=peer, mode=StartMode.SPAWN),
        lambda peer: ProcessFailed(process=peer, failure=Failure(problem="it says so")),
        lambda peer: ProcessHung(process=peer, seconds=31.0),
        lambda peer: ProcessMisbehaved(process=peer, reason="garbage"),
        lambda peer: ChannelLost(process=peer),
        lambda peer: RecycleDue(process=peer, reason="10000 requests"),
    )
)


class Cluster(RuleBasedStateMachine):
    """A kind world, except for what the rules do to it. Every rule may come at any moment, and every event is judged by all laws."""

    world: World

    @initialize(
        workers=st.integers(1, 3),
        agent=st.booleans(),
        batch=st.integers(1, 2),
        stop_timeout=st.sampled_from((0.0, 10.0)),
        drain_delay=st.sampled_from((0.0, 5.0)),
        mode=st.sampled_from(StartMode),
        ready=st.booleans(),
    )
    def begin(
        self, *, workers: int, agent: bool, batch: int, stop_timeout: float, drain_delay: float, mode: StartMode, ready: bool
    ) -> None:
        self.policy = Policy(
            workers=workers, agent=agent, boot_timeout=20.0, stop_timeout=stop_timeout, drain_delay=drain_delay, reload_batch=batch
        )
        self.nature = Kind(start_mode=mode)
        self.world = World(self.policy, self.nature)
        self.world.after_each.append(obey_the_laws)
        self.world.start()
        if ready:
            self.world.run(5.0)

    def is_up(self) -> bool:
        return self.world.exit is None

    # ── time ─────────────────────────────────────────────────────────────────────────────────────────────────────────

    @precondition(is_up)
    @rule()
    def something_happens(self) -> None:
        self.world.step()

    @precondition(is_up)
    @rule(seconds=st.sampled_from((0.01, 0.15, 1.0, 12.0, 70.0)))
    def time_passes(self, seconds: float) -> None:
        self.world.run(seconds)

    @precondition(is_up)
    @rule(seconds=st.sampled_from((1.0, 100.0)))
    def the_master_is_stopped_for_a_while(self, seconds: float) -> None:
        self.world.sleep(seconds)

    @precondition(is_up)
    @rule()
    def a_timer_fires_for_nothing(self) -> None:
        self.world.tell(TimePassed())

    # ── what goes wrong ──────────────────────────────────────────────────────────────────────────────────────────────

    @rule(fate=st.sampled_from(ForkFate))
    def the_next_fork_has_a_fate(self, fate: ForkFate) -> None:
        self.nature.forks.append(fate)

    @rule(fate=st.sampled_from(BootFate), delay=st.sampled_from((0.0, 1.0, 19.0, 25.0)))
    def the_next_boot_has_a_fate(self, fate: BootFate, delay: float) -> None:
        self.nature.boots.append((fate, delay))

    @rule(delay=st.sampled_from((None, 9.0, 11.0)))
    def the_next_who_leaves_takes_its_time(self, delay: float | None) -> None:
        self.nature.leaves.append(delay)

    @precondition(is_up)
    @rule(number=st.integers(0, 9), status=st.sampled_from((-9, 0, 3)))
    def somebody_dies(self, number: int, status: int) -> None:
        if living := self.world.alive():
            self.world.kill(living[number % len(living)], status)

    @precondition(is_up)
    @rule(number=st.integers(0, 9), say=SAYINGS)
    def something_is_said_of_somebody(self, number: int, say: Any) -> None:
        if known := [child for child in self.world.children.values() if child.forked]:
            event: Event = say(known[-1 - number % len(known)].peer)
            self.world.tell(event)

    # ── requests ─────────────────────────────────────────────────────────────────────────────────────────────────────

    @precondition(is_up)
    @rule(workers=st.integers(0, 3))
    def a_reload_is_requested(self, workers: int) -> None:
        self.world.ask(ReloadRequested(workers=workers))

    @precondition(is_up)
    @rule(workers=st.integers(-3, 4), relative=st.booleans())
    def a_scale_is_requested(self, workers: int, relative: bool) -> None:
        self.world.ask(ScaleRequested(workers=workers, relative=relative))

    @precondition(is_up)
    @rule(slot=st.integers(0, 4))
    def a_kick_is_requested(self, slot: int) -> None:
        self.world.ask(KickRequested(slot=slot))

    @precondition(is_up)
    @rule()
    def an_agent_restart_is_requested(self) -> None:
        self.world.ask(AgentRestartRequested())

    @precondition(is_up)
    @rule(now=st.booleans(), timeout=st.sampled_from((None, 0.0)))
    def a_stop_is_requested(self, now: bool, timeout: float | None) -> None:
        self.world.ask(StopRequested(now=now, timeout=timeout))

    def teardown(self) -> None:
        if not hasattr(self, "world"):
            return
        self.nature.forks.clear()
        self.nature.boots.clear()
        self.nature.leaves.clear()
        recovers(self.world, self.policy)
        stops(self.world, self.policy)


def test_the_laws_hold_under_schedules_that_shrink() -> None:
    # What Hypothesis reads first is the source of this class. Should the collector call a finalizer that reads source as well in the
    # middle of it, Python 3.11 takes the recursion depth of one for the other's ("AST constructor recursion depth mismatch").
    gc.collect()
    run_state_machine_as_test(Cluster)


class TestTheWorldDoesNotLie:
    """A fake that takes every command would let every bug pass."""

    def world(self) -> World:
        world = World(Policy(workers=1), Kind())
        world.start()
        world.run(5.0)
        return world

    def worker(self, world: World) -> Child:
        return next(child for child in world.children.values() if child.role is Role.WORKER)

    def test_nobody_is_told_ready_twice(self) -> None:
        world = self.world()
        with pytest.raises(DisobedienceError, match="comes twice"):
            world._obey(TellReady(process=self.worker(world).peer), TimePassed())

    def test_nobody_is_killed_whose_end_was_reported(self) -> None:
        world = self.world()
        worker = self.worker(world)
        world.kill(worker)
        world._obey(Kill(process=worker.peer), TimePassed())  # it is dead, but that is not known yet
        world.run(1.0)
        with pytest.raises(DisobedienceError, match="has no pid or is gone"):
            world._obey(Kill(process=worker.peer), TimePassed())

    def test_nobody_is_forked_twice(self) -> None:
        world = self.world()
        worker = self.worker(world)
        command = Fork(process=worker.peer, role=Role.WORKER, slot=1, generation=1, nest=worker.nest, mode=StartMode.FORK)
        with pytest.raises(DisobedienceError, match="exists or is under way"):
            world._obey(command, TimePassed())

    def test_nobody_is_asked_to_finish_twice(self) -> None:
        world = self.world()
        command = Drain(process=self.worker(world).peer, closing=False)
        world._obey(command, TimePassed())
        with pytest.raises(DisobedienceError, match="comes twice"):
            world._obey(command, TimePassed())
