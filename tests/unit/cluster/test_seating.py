from __future__ import annotations

import pytest
from tests.unit.cluster.fake_line import FakeLine

from tamago.cluster.attached import Attached
from tamago.cluster.frame_runs import Run
from tamago.cluster.seating import Seating, nobody
from tamago.ipc.wire import Route
from tamago.types import Role


def seating(slots: int = 2, *, agent: bool = True) -> Seating:
    seats = Seating(agent=agent, choose=lambda count: count - 1, busy=lambda peer: False)
    seats.set_slots(slots)
    return seats


def process(seats: Seating, peer: int, role: Role, slot: int = 0) -> Attached:
    seats.peers[peer] = Attached(peer, role, slot, 1000 + peer, FakeLine(peer))
    return seats.peers[peer]


def run(route: int, *, slot: int = 0, to: int = 0) -> Run:
    return Run(kind=1, route=route, slot=slot, to=to, start=0, stop=0, frames=1)


def test_a_process_sits_only_in_the_seat_it_is_made_for_and_only_once() -> None:
    seats = seating()
    worker, nest, ninth = process(seats, 1, Role.WORKER, 2), process(seats, 2, Role.NEST), process(seats, 3, Role.WORKER, 9)
    assert seats.sit(worker) is seats.workers[1]
    assert [seats.sit(worker), seats.sit(nest), seats.sit(ninth)] == [None, None, None]
    seats.leave(worker)
    seats.leave(worker)
    assert seats.any_ready() is None


def test_leaving_does_not_unseat_a_successor() -> None:
    seats = seating()
    old, new = process(seats, 1, Role.WORKER, 1), process(seats, 2, Role.WORKER, 1)
    seats.sit(old)
    seats.sit(new)
    seats.leave(old)
    assert seats.workers[0].active is new
    assert seats.any_ready() is new


def test_the_workers_to_choose_from_are_in_the_order_of_their_slots() -> None:
    seats = seating(3)
    for peer, slot in ((1, 3), (2, 1), (3, 2)):
        seats.sit(process(seats, peer, Role.WORKER, slot))
    chosen = seats.any_ready()
    assert chosen is not None
    assert chosen.slot == 3


def test_when_all_are_busy_the_chosen_one_is_as_good_as_any() -> None:
    seats = Seating(agent=True, choose=lambda count: 1, busy=lambda peer: True)
    seats.set_slots(2)
    for slot in (1, 2):
        seats.sit(process(seats, slot, Role.WORKER, slot))
    chosen = seats.any_ready()
    assert chosen is not None
    assert chosen.slot == 2


@pytest.mark.parametrize(
    ("where", "names"),
    [
        (run(Route.AGENT), ["the agent"]),
        (run(Route.APP), ["worker 1", "worker 2"]),
        (run(Route.ALL), ["the agent", "worker 1", "worker 2"]),
        (run(Route.SLOT, slot=2), ["worker 2"]),
        (run(Route.SLOT, slot=0), []),
        (run(Route.SLOT, slot=3), []),
        (run(Route.MASTER), None),
        (run(77), None),
    ],
)
def test_an_address_means_seats(where: Run, names: list[str] | None) -> None:
    found = seating().seats_for(where)
    assert (None if found is None else [seat.name for seat in found]) == names


def test_a_process_not_forked_yet_has_no_pid_to_be_reached_by() -> None:
    seats = seating()
    process(seats, 1, Role.WORKER, 1).pid = 0
    assert seats.process(run(Route.PID, to=0)) is None


@pytest.mark.parametrize(
    ("where", "reason"),
    [
        (run(Route.PID, to=7), "no process of this cluster has the pid 7"),
        (run(Route.SLOT, slot=7), "there is no worker 7"),
        (run(Route.AGENT), "this cluster runs without an agent"),
        (run(Route.PEER, to=7), "the process is gone"),
    ],
)
def test_an_address_that_means_nobody_says_why(where: Run, reason: str) -> None:
    assert nobody(where) == reason
