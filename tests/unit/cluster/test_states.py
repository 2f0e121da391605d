"""The two tables say everything: complete, without dead ends, and loud about a step that has no cell."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from itertools import product
from typing import TypeVar

import pytest

from tamago.cluster.states import (
    CLUSTER_TRANSITIONS,
    PROCESS_TRANSITIONS,
    ClusterState,
    ClusterStep,
    IllegalTransitionError,
    ProcessState,
    ProcessStep,
    advance,
)

P, S = ProcessState, ProcessStep
C, T = ClusterState, ClusterStep


State = TypeVar("State", bound=Enum)
Step = TypeVar("Step", bound=Enum)


def reachable(table: Mapping[State, Mapping[Step, State]], start: State) -> set[State]:
    seen, todo = {start}, [start]
    while todo:
        fresh = set(table[todo.pop()].values()) - seen
        seen |= fresh
        todo.extend(fresh)
    return seen


def test_every_process_state_has_a_row() -> None:
    assert set(PROCESS_TRANSITIONS) == set(ProcessState)


def test_every_cluster_state_has_a_row() -> None:
    assert set(CLUSTER_TRANSITIONS) == set(ClusterState)


def test_every_process_step_is_used() -> None:
    assert {step for row in PROCESS_TRANSITIONS.values() for step in row} == set(ProcessStep)


def test_every_cluster_step_is_used() -> None:
    assert {step for row in CLUSTER_TRANSITIONS.values() for step in row} == set(ClusterStep)


@pytest.mark.parametrize("state", ProcessState)
def test_every_process_state_reaches_gone(state: ProcessState) -> None:
    assert P.GONE in reachable(PROCESS_TRANSITIONS, state)


@pytest.mark.parametrize("state", ClusterState)
def test_every_cluster_state_reaches_stopped(state: ClusterState) -> None:
    assert C.STOPPED in reachable(CLUSTER_TRANSITIONS, state)


def test_every_process_state_is_reached_from_waiting() -> None:
    assert reachable(PROCESS_TRANSITIONS, P.WAITING) == set(ProcessState)


def test_every_cluster_state_is_reached_from_starting() -> None:
    assert reachable(CLUSTER_TRANSITIONS, C.STARTING) == set(ClusterState)


def test_nothing_follows_gone_and_stopped() -> None:
    assert PROCESS_TRANSITIONS[P.GONE] == {}
    assert CLUSTER_TRANSITIONS[C.STOPPED] == {}


@pytest.mark.parametrize("state", [P.BOOTING, P.READY, P.DRAINING, P.KILLING])
def test_whatever_has_a_pid_may_exit_and_may_be_killed(state: ProcessState) -> None:
    assert advance(PROCESS_TRANSITIONS, state, S.EXIT) is P.GONE
    assert advance(PROCESS_TRANSITIONS, state, S.KILL) is P.KILLING


@pytest.mark.parametrize("state", [P.WAITING, P.FORKING])
def test_whatever_has_no_pid_cannot_exit_or_drain(state: ProcessState) -> None:
    assert S.EXIT not in PROCESS_TRANSITIONS[state]
    assert S.DRAIN not in PROCESS_TRANSITIONS[state]


def test_a_fork_that_is_under_way_is_answered_also_when_its_process_is_not_wanted_any_more() -> None:
    dismissed = advance(PROCESS_TRANSITIONS, P.FORKING, S.DISMISS)
    assert dismissed is P.KILLING
    assert advance(PROCESS_TRANSITIONS, dismissed, S.FORKED) is P.KILLING
    assert advance(PROCESS_TRANSITIONS, dismissed, S.FORK_FAILED) is P.GONE


def test_who_was_told_to_leave_never_becomes_ready() -> None:
    assert P.READY not in reachable(PROCESS_TRANSITIONS, P.DRAINING)
    assert P.READY not in reachable(PROCESS_TRANSITIONS, P.KILLING)


@pytest.mark.parametrize("state", [C.STARTING, C.READY, C.RELOADING, C.STOPPING])
def test_a_stop_is_always_taken(state: ClusterState) -> None:
    assert advance(CLUSTER_TRANSITIONS, state, T.STOP) is C.STOPPING


def test_a_stop_cannot_be_taken_back() -> None:
    assert reachable(CLUSTER_TRANSITIONS, C.STOPPING) == {C.STOPPING, C.STOPPED}


@pytest.mark.parametrize(("state", "step"), list(product(ProcessState, ProcessStep)))
def test_a_process_step_has_a_cell_or_raises_and_names_state_and_step(state: ProcessState, step: ProcessStep) -> None:
    row = PROCESS_TRANSITIONS[state]
    if step in row:
        assert advance(PROCESS_TRANSITIONS, state, step) is row[step]
        return
    with pytest.raises(IllegalTransitionError) as caught:
        advance(PROCESS_TRANSITIONS, state, step)
    assert (caught.value.state, caught.value.step) == (state, step)
    assert str(caught.value) == f"ProcessState {state.value!r} has no transition for {step.value!r}"


@pytest.mark.parametrize(("state", "step"), list(product(ClusterState, ClusterStep)))
def test_a_cluster_step_has_a_cell_or_raises_and_names_state_and_step(state: ClusterState, step: ClusterStep) -> None:
    row = CLUSTER_TRANSITIONS[state]
    if step in row:
        assert advance(CLUSTER_TRANSITIONS, state, step) is row[step]
        return
    with pytest.raises(IllegalTransitionError) as caught:
        advance(CLUSTER_TRANSITIONS, state, step)
    assert (caught.value.state, caught.value.step) == (state, step)
    assert str(caught.value) == f"ClusterState {state.value!r} has no transition for {step.value!r}"


@pytest.mark.parametrize("table", [PROCESS_TRANSITIONS, CLUSTER_TRANSITIONS])
def test_the_tables_cannot_be_changed(table: Mapping[Enum, Mapping[Enum, Enum]]) -> None:
    with pytest.raises(TypeError):
        table[P.GONE] = {}  # type: ignore[index]
