from __future__ import annotations

from tests.unit.cluster.fake_line import FakeLine

from tamago.cluster import pace
from tamago.cluster.attached import Attached
from tamago.ipc import wire
from tamago.types import Role


def process(peer: int) -> tuple[Attached, FakeLine]:
    line = FakeLine(peer)
    line.start()
    return Attached(peer, Role.WORKER, peer, 0, line), line


def test_behind_and_caught_up_lie_half_a_queue_apart() -> None:
    receiver, line = process(1)
    line.stuck = True
    line.put(wire.pack(1, 1, bytes(pace.LOW_WATER - 20)), 1)
    assert (pace.is_behind(receiver), pace.has_caught_up(receiver)) == (False, True)
    line.put(wire.pack(1, 1, b""), 1)
    assert (pace.is_behind(receiver), pace.has_caught_up(receiver)) == (False, False)
    line.put(wire.pack(1, 1, bytes(pace.LOW_WATER)), 1)
    assert (pace.is_behind(receiver), pace.has_caught_up(receiver)) == (True, False)


def test_a_sender_goes_on_when_the_last_of_its_receivers_has_caught_up() -> None:
    (sender, line), (one, _), (two, _) = process(1), process(2), process(3)
    pace.pause(sender, one)
    pace.pause(sender, one)
    pace.pause(sender, two)
    pace.release(one)
    assert not line.reads
    pace.release(two)
    assert line.reads
    assert (sender.paused_by, one.slows, two.slows) == (set(), set(), set())


def test_a_dead_process_neither_waits_nor_is_waited_for() -> None:
    (dead, _), (sender, line), (receiver, _) = process(1), process(2), process(3)
    pace.pause(sender, dead)
    pace.pause(dead, receiver)
    pace.forget(dead)
    assert line.reads
    assert (dead.paused_by, dead.slows, sender.paused_by, receiver.slows) == (set(), set(), set(), set())


def test_one_may_wait_for_itself() -> None:
    itself, line = process(1)
    pace.pause(itself, itself)
    assert not line.reads
    pace.release(itself)
    assert line.reads
