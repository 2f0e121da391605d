"""When a neighbour takes over an empty slot of a sticky cluster, and when it gives it back."""

from tamago.cluster.empty_slots import PATIENCE, EmptySlots


def test_a_slot_that_is_empty_for_a_moment_keeps_its_clients_waiting() -> None:
    slots = EmptySlots(3)
    assert slots.look({1, 3}, 10.0) is None
    assert slots.look({1, 3}, 10.0 + PATIENCE / 2) is None
    assert slots.look({1, 2, 3}, 10.0 + PATIENCE) is None


def test_a_slot_that_stays_empty_is_told_once_and_its_return_too() -> None:
    slots = EmptySlots(3)
    slots.look({1, 3}, 10.0)
    assert slots.look({1, 3}, 10.0 + PATIENCE) == frozenset({2})
    assert slots.look({1, 3}, 11.0 + PATIENCE) is None
    assert slots.look({1, 2, 3}, 12.0 + PATIENCE) == frozenset()


def test_while_nobody_serves_there_is_no_neighbour() -> None:
    slots = EmptySlots(2)
    slots.look(set(), 10.0)
    assert slots.look(set(), 10.0 + PATIENCE) is None
    assert slots.look({1}, 10.0 + PATIENCE) == frozenset({2})


def test_a_slot_that_is_not_to_be_filled_is_not_waited_for() -> None:
    slots = EmptySlots(3)
    assert slots.look({1, 2, 3}, 10.0, wanted=3) is None
    assert slots.look({1, 2}, 10.0, wanted=2) == frozenset({3})
    assert slots.look({1, 2}, 10.0, wanted=3) == frozenset(), "now somebody is to come"
