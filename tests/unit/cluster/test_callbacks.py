"""Who asked is told, in order, and one that fails harms nobody else."""

import logging

import pytest

from tamago.cluster.callbacks import Callbacks
from tamago.cluster.events import EnterState, StartRequested, TimePassed
from tamago.cluster.states import ClusterState


def test_callbacks_are_told_of_their_type_only_and_in_order() -> None:
    callbacks, told = Callbacks(), []
    callbacks.add(StartRequested, lambda event: told.append(("first", event)))
    callbacks.add(StartRequested, lambda event: told.append(("second", event)))
    callbacks.tell([TimePassed(), StartRequested()])
    assert told == [("first", StartRequested()), ("second", StartRequested())]


def test_a_callback_can_be_taken_back_also_twice_and_while_it_is_told() -> None:
    callbacks, told = Callbacks(), []

    def once(event: StartRequested) -> None:
        told.append(event)
        forget()
        forget()

    forget = callbacks.add(StartRequested, once)
    callbacks.tell([StartRequested(), StartRequested()])
    assert told == [StartRequested()]


def test_a_callback_that_fails_is_logged_and_the_next_is_told(caplog: pytest.LogCaptureFixture) -> None:
    callbacks = Callbacks()
    told: list[EnterState] = []

    def fail(_: EnterState) -> None:
        raise ValueError("mine")

    callbacks.add(EnterState, fail)
    callbacks.add(EnterState, told.append)
    with caplog.at_level(logging.ERROR):
        callbacks.tell([EnterState(state=ClusterState.READY)])
    assert told == [EnterState(state=ClusterState.READY)]
    assert "a callback for EnterState failed" in caplog.text
