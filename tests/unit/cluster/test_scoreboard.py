from __future__ import annotations

import os
import time
from collections.abc import Iterator

import pytest

from tamago.cluster.scoreboard import STALE, Row, Scoreboard, ScoreboardFullError
from tamago.types import Meter


@pytest.fixture
def board() -> Iterator[Scoreboard]:
    board = Scoreboard.create(4)
    yield board
    board.close()


def accepting(board: Scoreboard, *, connections: int, heartbeat: int | None = None) -> int:
    index = board.claim(peer=len(list(board.taken())) + 1)
    row = board.row(index)
    row.accepting = True
    row.beat(time.monotonic_ns() if heartbeat is None else heartbeat)
    for _ in range(connections):
        row.connection_opened()
    return index


def test_a_row_counts_requests_and_connections(board: Scoreboard) -> None:
    row = board.row(board.claim(peer=7, slot=2, generation=3))
    meter: Meter = row
    for _ in range(3):
        meter.connection_opened()
        meter.request_counts[0] += 1
    meter.request_counts[1] += 1
    meter.connection_closed()
    assert (row.peer, row.slot, row.generation) == (7, 2, 3)
    assert (row.requests, row.in_flight, row.connections) == (3, 2, 2)


def test_a_heartbeat_and_now_and_then_memory_and_cpu(board: Scoreboard) -> None:
    row = board.row(board.claim(peer=1))
    assert row.heartbeat == 0
    row.beat(123)
    row.measure(rss=50 << 30, cpu=10**18)
    assert (row.heartbeat, row.rss, row.cpu) == (123, 50 << 30, 10**18)


def test_busy_since_is_when_it_began(board: Scoreboard) -> None:
    row = board.row(board.claim(peer=1))
    before = time.monotonic_ns()
    row.threads_all_busy(True)
    began = row.busy_since
    assert before <= began <= time.monotonic_ns()
    row.threads_all_busy(True)
    assert row.busy_since == began
    row.threads_all_busy(False)
    assert row.busy_since == 0


def test_a_freed_row_is_claimed_again_all_zero(board: Scoreboard) -> None:
    first = board.claim(peer=1, slot=1)
    row = board.row(first)
    row.request_counts[0] += 1
    row.accepting = True
    board.free(first)
    assert row.peer == 0
    assert not row.accepting
    assert board.claim(peer=2, slot=1) == first
    assert (row.peer, row.requests) == (2, 0)


def test_rows_do_not_touch_each_other(board: Scoreboard) -> None:
    rows = [board.row(board.claim(peer=number)) for number in (1, 2, 3, 4)]
    for count, row in enumerate(rows):
        for _ in range(count):
            row.request_counts[0] += 1
    assert [row.requests for row in rows] == [0, 1, 2, 3]
    assert [(index, row.peer) for index, row in board.taken()] == [(0, 1), (1, 2), (2, 3), (3, 4)]


def test_a_process_too_many_is_refused(board: Scoreboard) -> None:
    for number in range(4):
        board.claim(peer=number + 1)
    with pytest.raises(ScoreboardFullError, match="all 4 rows"):
        board.claim(peer=9)
    with pytest.raises(IndexError):
        board.row(4)


def test_another_process_sees_it_through_the_descriptor(board: Scoreboard) -> None:
    index = board.claim(peer=1)
    pid = os.fork()
    if pid == 0:
        child = Scoreboard.open(os.dup(board.fd), 4)
        child.row(index).request_counts[0] += 1
        os._exit(0)
    os.waitpid(pid, 0)
    assert board.row(index).requests == 1


def test_the_memory_cannot_be_shrunk_under_the_others(board: Scoreboard) -> None:
    with pytest.raises(PermissionError):
        os.ftruncate(board.fd, 0)
    assert not os.get_inheritable(board.fd)


def test_only_live_accepting_others_are_compared(board: Scoreboard) -> None:
    now = time.monotonic_ns()
    own = accepting(board, connections=5)
    accepting(board, connections=7)
    accepting(board, connections=0, heartbeat=now - STALE)
    closed = accepting(board, connections=0)
    board.row(closed).accepting = False
    assert board.connections_elsewhere(own, now) == [(7, 1)]


def test_a_row_is_a_meter() -> None:
    assert {name for name in dir(Meter) if not name.startswith("_")} <= set(dir(Row))
