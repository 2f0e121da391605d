from __future__ import annotations

from tamago.cluster.ledger import MAX_OPEN, Ledger


def test_death_names_what_was_left_unanswered_oldest_first() -> None:
    ledger = Ledger()
    for seq in (3, 1, 2):
        ledger.given(7, 4, seq)
    ledger.given(8, 4, 9)
    assert ledger.settled(7, 4, 1)
    assert ledger.count(7) == 2
    assert ledger.died(7) == [(4, 3), (4, 2)]
    assert ledger.died(7) == []
    assert ledger.died(8) == [(4, 9)]


def test_only_an_open_request_can_be_settled_and_only_by_its_receiver() -> None:
    ledger = Ledger()
    ledger.given(7, 4, 1)
    assert not ledger.settled(8, 4, 1)
    assert not ledger.settled(7, 5, 1)
    assert not ledger.settled(7, 4, 2)
    assert ledger.settled(7, 4, 1)
    assert not ledger.settled(7, 4, 1)


def test_a_handler_that_never_answers_cannot_fill_the_master() -> None:
    ledger = Ledger()
    for seq in range(MAX_OPEN + 3):
        ledger.given(7, 4, seq)
    left = ledger.died(7)
    assert len(left) == MAX_OPEN
    assert left[0] == (4, 3)
