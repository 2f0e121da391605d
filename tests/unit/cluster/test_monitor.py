"""Who hangs and who is due to be replaced, from rows and times alone."""

from dataclasses import dataclass

import pytest

from tamago.cluster.events import ProcessHung, RecycleDue
from tamago.cluster.monitor import Monitor
from tamago.cluster.settings import Settings

S = 1_000_000_000
PEER = 7


@dataclass
class Row:
    peer: int = PEER
    heartbeat: int = 0
    busy_since: int = 0
    requests: int = 0
    rss: int = 0


def watched(*, spread: float = 0.0, **settings: float) -> Monitor:
    monitor = Monitor(Settings(**settings), random=lambda: spread)  # type: ignore[arg-type]
    monitor.watch(PEER, 100 * S)
    return monitor


def run(monitor: Monitor, row: Row, seconds: range) -> list[object]:
    """Check once a second, as the master does, and return what came first."""
    for second in seconds:
        if found := monitor.check([row], second * S):
            return list(found)
    return []


def test_a_silent_process_hangs_once_the_timeout_is_over() -> None:
    monitor = watched(hang_timeout=5)
    assert run(monitor, Row(heartbeat=100 * S), range(101, 107)) == []
    (event,) = run(monitor, Row(heartbeat=100 * S), range(107, 108))
    assert isinstance(event, ProcessHung)
    assert event.seconds == pytest.approx(6)


def test_a_process_that_has_not_beaten_yet_is_measured_from_when_it_was_ready() -> None:
    assert run(watched(hang_timeout=5), Row(heartbeat=0), range(101, 106)) == []


def test_a_thread_pool_that_is_busy_for_too_long_hangs_although_the_loop_beats() -> None:
    monitor = watched(hang_timeout=5)
    row = Row(busy_since=100 * S)
    for second in range(101, 106):
        row.heartbeat = second * S
        assert monitor.check([row], second * S) == []
    row.heartbeat = 106 * S
    (event,) = monitor.check([row], 106 * S)
    assert isinstance(event, ProcessHung)
    assert event.what == "thread pool"


def test_a_timeout_as_short_as_a_heartbeat_finds_nobody_who_beats() -> None:
    monitor = watched(hang_timeout=1)
    for tenths in range(1010, 2000, 10):
        assert monitor.check([Row(heartbeat=(tenths - 10) * S // 10 - S // 20)], tenths * S // 10) == []


@pytest.mark.parametrize("standstill", [2, 20, 3600])
def test_time_in_which_the_master_did_not_run_counts_for_nobody(standstill: int) -> None:
    monitor = watched(hang_timeout=1.5)
    row = Row(heartbeat=100 * S)
    assert monitor.check([row], (101 + standstill) * S) == []
    assert run(monitor, row, range(102 + standstill, 106 + standstill)) != []  # who does not come back is found all the same


def test_with_a_timeout_of_zero_nobody_hangs() -> None:
    assert run(watched(hang_timeout=0), Row(heartbeat=100 * S), range(101, 1000)) == []


@pytest.mark.parametrize(
    ("settings", "row"),
    [({"max_requests": 10}, Row(requests=10)), ({"max_lifetime": 3}, Row()), ({"max_rss": 5}, Row(rss=6 * 1024 * 1024))],
)
def test_a_worker_that_served_lived_or_grew_enough_is_due(settings: dict[str, float], row: Row) -> None:
    (event,) = run(watched(hang_timeout=0, **settings), row, range(101, 110))
    assert isinstance(event, RecycleDue)


def test_the_limits_are_spread() -> None:
    monitor = watched(hang_timeout=0, max_requests=10, max_requests_jitter=10, spread=0.5)
    assert run(monitor, Row(requests=14), range(101, 103)) == []
    assert run(monitor, Row(requests=15), range(103, 104)) != []


def test_who_is_not_watched_any_more_is_left_alone() -> None:
    monitor = watched(hang_timeout=1)
    monitor.forget(PEER)
    assert run(monitor, Row(heartbeat=1), range(101, 110)) == []
