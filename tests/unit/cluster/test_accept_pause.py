from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Iterator
from typing import cast

import pytest

from tamago.cluster import linux
from tamago.cluster.accept_pause import AcceptPause
from tamago.cluster.balance import BUSY_PAUSE, GRACE, PAUSE, Run
from tamago.cluster.birth import Cargo
from tamago.cluster.child import Child
from tamago.cluster.scoreboard import STALE, Row, Scoreboard
from tamago.ipc.control_messages import Boot


@pytest.fixture
def board() -> Iterator[Scoreboard]:
    board = Scoreboard.create(6)
    yield board
    board.close()


class World:
    """The kernel's view of every process, and its clock."""

    def __init__(self) -> None:
        self.now = 1_000_000_000_000
        self.states: dict[int, tuple[Run, float]] = {}

    def monotonic_ns(self) -> int:
        return self.now

    def state_of(self, pid: int) -> tuple[Run, float]:
        return self.states.get(pid, (Run.RUNNABLE, 0.0))

    def pass_(self, seconds: float) -> None:
        self.now += int(seconds * 1e9)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    world = World()
    monkeypatch.setattr("tamago.cluster.accept_pause.time.monotonic_ns", world.monotonic_ns)
    monkeypatch.setattr(linux, "run_state_of", world.state_of)
    return world


def worker(board: Scoreboard, world: World, connections: int, *, pid: int = 0) -> tuple[Row, AcceptPause]:
    index = board.claim(peer=len(list(board.taken())) + 1)
    row = board.row(index)
    row.accepting = True
    row.pid = pid
    row.beat(world.now)
    for _ in range(connections):
        row.connection_opened()
    return row, AcceptPause(board, index)


def waits(ask: AcceptPause, world: World, seconds: float) -> int:
    """Ask for so long as the acceptor does; return how often it was told to step back."""
    until = world.now + int(seconds * 1e9)
    count = 0
    while world.now < until and (pause := ask()) > 0.0:
        assert pause == PAUSE
        world.pass_(pause)
        count += 1
    return count


def test_a_worker_alone_takes_what_comes(board: Scoreboard, world: World) -> None:
    _, ask = worker(board, world, 1000)
    assert ask() == 0.0


def test_an_overloaded_worker_waits_as_long_as_the_least_loaded_one_only_lacks_a_cpu(board: Scoreboard, world: World) -> None:
    _, ask = worker(board, world, 20)
    worker(board, world, 0, pid=7)
    assert waits(ask, world, 0.5) == 500


@pytest.mark.parametrize("state", [(Run.ASLEEP, 0.0), (Run.UNKNOWN, 0.0)])
def test_it_waits_for_a_blocked_one_once_and_for_a_moment(board: Scoreboard, world: World, state: tuple[Run, float]) -> None:
    _, ask = worker(board, world, 20)
    blocked, _ = worker(board, world, 0, pid=7)
    world.states[7] = state
    assert 1 <= waits(ask, world, 1.0) <= 2 * GRACE / PAUSE
    assert waits(ask, world, 1.0) == 0
    blocked.beat(world.now)
    world.states[7] = (Run.RUNNABLE, 0.0)
    assert ask() == PAUSE, "it lives again"


def test_one_that_computes_instead_of_accepting_is_waited_for_no_longer(board: Scoreboard, world: World) -> None:
    _, ask = worker(board, world, 20)
    worker(board, world, 0, pid=7)
    assert ask() == PAUSE
    assert waits(ask, world, 4 * GRACE) > 0
    world.states[7] = (Run.RUNNABLE, 2 * GRACE)
    assert ask() == 0.0


def test_one_that_takes_connections_is_waited_for_again_and_again(board: Scoreboard, world: World) -> None:
    _, ask = worker(board, world, 40)
    other, _ = worker(board, world, 0, pid=7)
    world.states[7] = (Run.ASLEEP, 0.0)
    for _ in range(20):
        assert ask() == PAUSE
        world.pass_(GRACE / 2)
        other.connection_opened()


def test_behind_a_blocked_one_the_next_is_given_time_to_find_out_too(board: Scoreboard, world: World) -> None:
    _, ask = worker(board, world, 20)
    worker(board, world, 0, pid=7)
    _, next_ask = worker(board, world, 10, pid=8)
    world.states[7] = world.states[8] = (Run.ASLEEP, 0.0)  # the second one steps back as well
    assert ask() == PAUSE
    world.pass_(GRACE * 0.9)
    while next_ask() > 0.0:
        assert ask() == PAUSE
        world.pass_(PAUSE)


def test_what_was_seen_before_a_lull_means_nothing(board: Scoreboard, world: World) -> None:
    _, ask = worker(board, world, 20)
    worker(board, world, 0, pid=7)
    assert ask() == PAUSE
    world.states[7] = (Run.ASLEEP, 0.0)  # nothing came for it to accept
    world.pass_(0.2)
    assert ask() == PAUSE


@pytest.mark.parametrize("left", [1, 10], ids=["it has hardly any", "many of its own ended"])
def test_what_was_seen_before_it_took_one_means_nothing(board: Scoreboard, world: World, left: int) -> None:
    row, ask = worker(board, world, 20)
    worker(board, world, 0, pid=7)
    assert ask() == PAUSE
    for _ in range(20 - left):
        row.connection_closed()
    assert ask() == 0.0
    world.states[7] = (Run.ASLEEP, 0.0)  # nothing is left for it to accept
    world.pass_(2 * GRACE)
    for _ in range(30):
        row.connection_opened()
    assert ask() == PAUSE


def test_it_waits_for_nobody_whose_heartbeat_is_old_or_who_does_not_accept(board: Scoreboard, world: World) -> None:
    _, ask = worker(board, world, 20)
    old, _ = worker(board, world, 0)
    old.beat(world.now - STALE)
    closed, _ = worker(board, world, 0)
    closed.accepting = False
    assert ask() == 0.0


def test_while_all_its_threads_are_busy_it_steps_back_for_one_with_a_thread_to_spare(board: Scoreboard, world: World) -> None:
    row, ask = worker(board, world, 1)
    worker(board, world, 30)
    row.threads_all_busy(True)
    assert ask() == BUSY_PAUSE


def test_it_waits_for_nobody_whose_threads_are_all_busy_while_its_own_are_not(board: Scoreboard, world: World) -> None:
    row, ask = worker(board, world, 20)
    busy, _ = worker(board, world, 0)
    busy.threads_all_busy(True)
    assert ask() == 0.0
    row.threads_all_busy(True)
    assert ask() == PAUSE, "neither has a thread to spare"


def test_the_kernel_tells_who_runs_and_who_sleeps() -> None:
    reader, writer = os.pipe()
    sleeper = os.fork()
    if sleeper == 0:
        os.close(writer)
        os.read(reader, 1)
        os._exit(0)
    try:
        before = time.process_time()
        _, first = linux.run_state_of(os.getpid())
        while time.process_time() < before + 0.05:
            pass
        state, second = linux.run_state_of(os.getpid())
        assert state is Run.RUNNABLE
        assert second > first
        while linux.run_state_of(sleeper)[0] is not Run.ASLEEP:  # it is on its way there
            pass
    finally:
        os.kill(sleeper, signal.SIGKILL)
        os.waitpid(sleeper, 0)
        os.close(reader)
        os.close(writer)
    assert linux.run_state_of(sleeper) == (Run.UNKNOWN, 0.0)


def test_where_connections_come_and_go_it_does_not_mind_a_few_more(board: Scoreboard, world: World) -> None:
    row, ask = worker(board, world, 12)
    worker(board, world, 0, pid=7)
    assert ask() == PAUSE
    for _ in range(10):
        row.connection_opened()
        row.connection_closed()
    assert ask() == 0.0
    world.pass_(1.0)
    assert ask() == PAUSE, "that is long ago"


@pytest.mark.parametrize(("sticky", "pauses"), [(False, [PAUSE, PAUSE]), (True, [0.0, 0.0])])
def test_a_sticky_worker_leaves_nothing_to_others_who_could_not_take_it(
    board: Scoreboard, world: World, sticky: bool, pauses: list[float]
) -> None:
    worker(board, world, 20)
    worker(board, world, 0, pid=7)
    boot = Boot(
        role="worker",
        slot=1,
        generation=1,
        peer=1,
        master_pid=1,
        title="t",
        env="test",
        target={},
        options={},
        row=0,
        rows=6,
        sticky=sticky,
    )
    with socket.socket() as sock:
        child = Child(boot, sock, board, [], cast("Cargo", None))
        assert [child._accept_pause() for _ in pauses] == pauses
