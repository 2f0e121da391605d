from __future__ import annotations

from hypothesis import given, strategies as st

from tamago.cluster.balance import PAUSE, SLACK, pause

COUNT = st.integers(0, 100_000)
COUNTS = st.lists(COUNT, max_size=20)


def test_a_worker_alone_never_steps_back() -> None:
    assert pause(10_000, []) == 0.0


def test_small_differences_are_left_alone() -> None:
    assert pause(SLACK, [0]) == 0.0
    assert pause(100, [90, 95]) == 0.0


def test_a_worker_with_clearly_more_than_the_least_loaded_steps_back() -> None:
    assert pause(SLACK + 1, [0, 500]) == PAUSE
    assert pause(200, [100, 300]) == PAUSE


@given(COUNT, COUNTS)
def test_the_least_loaded_worker_never_steps_back(own: int, others: list[int]) -> None:
    counts = [own, *others]
    index = counts.index(min(counts))
    assert pause(counts[index], counts[:index] + counts[index + 1 :]) == 0.0


@given(COUNT, COUNT, COUNTS)
def test_more_connections_never_make_a_worker_more_eager(own: int, more: int, others: list[int]) -> None:
    assert pause(own + more, others) >= pause(own, others)
