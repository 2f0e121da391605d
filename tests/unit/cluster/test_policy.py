"""How long to wait after a death, and when to give up."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from tamago.cluster.policy import LONGEST_PAUSE, QUIET_PERIOD, Failures, Policy, RestartBudget, restart_pause

unit = st.floats(min_value=0.0, max_value=1.0)


@pytest.mark.parametrize(
    ("failures", "pause"),
    [(0, 0.0), (1, 0.0), (2, 0.5), (3, 1.0), (4, 2.0), (5, 4.0), (6, 8.0), (7, 16.0), (8, 30.0), (9, 30.0), (1_000_000, 30.0)],
)
def test_the_first_death_costs_no_pause_and_each_further_one_doubles_it_up_to_the_longest(failures: int, pause: float) -> None:
    assert restart_pause(failures, 0.0) == pause


@given(failures=st.integers(min_value=2, max_value=100), jitter=unit)
def test_jitter_takes_at_most_a_quarter_off(failures: int, jitter: float) -> None:
    full = restart_pause(failures, 0.0)
    assert full * 0.75 <= restart_pause(failures, jitter) <= full


@given(failures=st.integers(min_value=0, max_value=10**9), jitter=unit)
def test_a_pause_is_never_longer_than_the_longest(failures: int, jitter: float) -> None:
    assert 0.0 <= restart_pause(failures, jitter) <= LONGEST_PAUSE


@given(failures=st.integers(min_value=0, max_value=100), jitter=unit)
def test_one_more_death_never_shortens_the_pause(failures: int, jitter: float) -> None:
    assert restart_pause(failures, jitter) <= restart_pause(failures + 1, jitter)


def test_deaths_in_a_row_add_up() -> None:
    failures = Failures()
    for expected in (1, 2, 3):
        failures.add(ready_for=QUIET_PERIOD - 0.001)
        assert failures.count == expected


def test_a_death_after_a_quiet_period_starts_a_new_count() -> None:
    failures = Failures(count=7)
    failures.add(ready_for=QUIET_PERIOD)
    assert failures.count == 1


def test_a_death_in_boot_never_starts_a_new_count() -> None:
    failures = Failures(count=7)
    failures.add(ready_for=0.0)
    assert failures.count == 8


def test_without_a_limit_the_budget_never_ends() -> None:
    budget = RestartBudget(limit=0, period=60.0)
    assert not any(budget.spend(0.0) for _ in range(10_000))


def test_as_many_deaths_as_the_limit_are_allowed_and_one_more_is_not() -> None:
    budget = RestartBudget(limit=3, period=60.0)
    assert [budget.spend(now) for now in (0.0, 1.0, 2.0, 3.0)] == [False, False, False, True]


def test_deaths_older_than_the_period_are_forgotten() -> None:
    budget = RestartBudget(limit=2, period=10.0)
    assert [budget.spend(now) for now in (0.0, 1.0, 10.0, 11.0, 12.0)] == [False, False, False, False, True]


@given(
    limit=st.integers(min_value=1, max_value=5),
    period=st.floats(min_value=0.1, max_value=100.0),
    pauses=st.lists(st.floats(min_value=0.0, max_value=50.0), max_size=30),
)
def test_the_budget_is_used_up_exactly_when_more_than_the_limit_died_within_the_period(
    limit: int, period: float, pauses: list[float]
) -> None:
    budget, times, now = RestartBudget(limit=limit, period=period), [], 0.0
    for pause in pauses:
        now += pause
        times.append(now)
        assert budget.spend(now) == (sum(time > now - period for time in times) > limit)


def test_a_policy_has_the_defaults_of_the_settings() -> None:
    policy = Policy(workers=2)
    assert (policy.agent, policy.boot_timeout, policy.stop_timeout, policy.drain_delay) == (True, 60.0, 30.0, 0.0)
    assert (policy.reload_batch, policy.max_restarts) == (1, 0)
