from __future__ import annotations

import random

import pytest
from hypothesis import given, strategies as st

from tamago.cluster.balance import GRACE, RATIO, SLACK, STARVED, Run, Sight, fair, is_deaf

COUNT = st.integers(0, 100_000)


@given(COUNT, COUNT)
def test_more_connections_elsewhere_never_make_a_worker_more_reluctant(least: int, more: int) -> None:
    assert fair(least) <= fair(least + more)
    assert least < fair(least) <= least * RATIO + SLACK


@given(st.integers(1, 40), st.integers(0, 400), st.randoms(use_true_random=False))
def test_whoever_is_woken_first_connections_that_stay_end_evenly(workers: int, connections: int, luck: random.Random) -> None:
    counts = [0] * workers
    for _ in range(connections):
        may = [index for index in range(workers) if workers == 1 or counts[index] <= fair(min(counts[:index] + counts[index + 1 :]))]
        assert counts.index(min(counts)) in may, "somebody may always take it"
        counts[luck.choice(may)] += 1
    assert max(counts) <= fair(min(counts)) + 1


def test_64_connections_over_4_workers_cannot_end_less_evenly_than_12_to_20() -> None:
    possible = [least for least in range(17) if least + 3 * (fair(least) + 1) >= 64]
    assert min(possible) >= 12
    assert max(min(fair(least) + 1, 64 - 3 * least) for least in possible) <= 20


@pytest.mark.parametrize(
    ("sight", "deaf"),
    [
        (Sight(Run.ASLEEP, GRACE / 2, 0.0), False),
        (Sight(Run.ASLEEP, GRACE, 0.0), True),
        (Sight(Run.UNKNOWN, GRACE, 0.0), True),
        (Sight(Run.RUNNABLE, STARVED / 2, GRACE / 2), False),
        (Sight(Run.RUNNABLE, 2 * GRACE, GRACE), True),
        (Sight(Run.RUNNABLE, STARVED, 0.0), True),
    ],
)
def test_only_who_sleeps_elsewhere_or_runs_something_else_is_deaf(sight: Sight, deaf: bool) -> None:
    assert is_deaf(sight) is deaf
