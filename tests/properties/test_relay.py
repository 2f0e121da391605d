"""Nothing lost, nothing doubled, order kept: any schedule of sends, restarts, slow readers and deaths, over fakes that obey.

A process that dies here dies having read all that was written to it; what the kernel holds of one killed in the middle is gone by contract.
"""

from __future__ import annotations

import gc
from collections import Counter

from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from hypothesis.strategies import integers, sampled_from
from tests.unit.cluster.fake_line import FakeLine

from tamago.cluster.relay import Relay
from tamago.ipc.wire import Kind, Route
from tamago.types import Role

SEATS = {0: (Role.AGENT, Route.AGENT), 1: (Role.WORKER, Route.SLOT), 2: (Role.WORKER, Route.SLOT)}


class Model(RuleBasedStateMachine):
    """A cluster of an agent (seat 0) and two workers, and a process outside all seats that only sends."""

    def __init__(self) -> None:
        super().__init__()
        self.relay = Relay(on_control=lambda *_: None, on_hostile=self._hostile, on_closed=lambda _: None)
        self.relay.set_slots(2)
        self.peers = 0
        self.number = 0
        self.alive: dict[int, list[FakeLine]] = {seat: [] for seat in SEATS}
        self.active: dict[int, FakeLine | None] = dict.fromkeys(SEATS)
        self.read: dict[int, list[FakeLine]] = {seat: [] for seat in SEATS}
        self.sent: dict[int, list[str]] = {seat: [] for seat in SEATS}
        self.to_any: list[str] = []
        self.asked: dict[int, int] = {}
        self.sender = self._attach(Role.WORKER, 9)

    def _hostile(self, peer: int, reason: str) -> None:
        raise AssertionError((peer, reason))

    def _attach(self, role: Role, slot: int) -> FakeLine:
        self.peers += 1
        line = FakeLine(self.peers)
        self.relay.attach(self.peers, role, slot, 1, 1000 + self.peers, line)
        return line

    def _text(self) -> str:
        self.number += 1
        return str(self.number)

    @rule(seat=sampled_from(list(SEATS)), count=integers(1, 3))
    def message(self, seat: int, count: int) -> None:
        for _ in range(count):
            text = self._text()
            self.sent[seat].append(text)
            self.sender.message(SEATS[seat][1], text, slot=seat)

    @rule()
    def message_to_all(self) -> None:
        text = self._text()
        for seat in SEATS:
            self.sent[seat].append(text)
        self.sender.message(Route.ALL, text)

    @rule()
    def message_to_any(self) -> None:
        text = self._text()
        self.to_any.append(text)
        self.sender.message(Route.RANDOM, text)

    @rule(seat=sampled_from(list(SEATS)))
    def request(self, seat: int) -> None:
        text = self._text()
        self.sent[seat].append(text)
        self.asked[self.number] = 0
        self.sender.request(SEATS[seat][1], text, self.number, slot=seat)

    @rule(seat=sampled_from(list(SEATS)))
    def boot(self, seat: int) -> None:
        line = self._attach(SEATS[seat][0], seat)
        self.alive[seat].append(line)
        self.read[seat].append(line)

    @precondition(lambda self: any(self.alive.values()))
    @rule(seat=sampled_from(list(SEATS)), which=integers(0, 5))
    def activate(self, seat: int, which: int) -> None:
        if self.alive[seat]:
            line = self.alive[seat][which % len(self.alive[seat])]
            self.relay.activate(line.peer)
            self.active[seat] = line

    @rule(seat=sampled_from(list(SEATS)))
    def drain(self, seat: int) -> None:
        if (line := self.active[seat]) is not None:
            self.relay.deactivate(line.peer)
            self.active[seat] = None

    @rule(seat=sampled_from(list(SEATS)), which=integers(0, 5))
    def get_stuck(self, seat: int, which: int) -> None:
        if self.alive[seat]:
            self.alive[seat][which % len(self.alive[seat])].stuck = True

    @rule(seat=sampled_from(list(SEATS)), which=integers(0, 5))
    def catch_up(self, seat: int, which: int) -> None:
        if self.alive[seat]:
            self.alive[seat][which % len(self.alive[seat])].catch_up()

    @rule(seat=sampled_from(list(SEATS)), which=integers(0, 5))
    def die(self, seat: int, which: int) -> None:
        if self.alive[seat]:
            line = self.alive[seat].pop(which % len(self.alive[seat]))
            if self.active[seat] is line:
                self.active[seat] = None
            self.relay.detach(line.peer)

    @rule(seat=sampled_from(list(SEATS)), which=integers(0, 5))
    def answer_all(self, seat: int, which: int) -> None:
        if not self.alive[seat]:
            return
        line = self.alive[seat][which % len(self.alive[seat])]
        for kind, _, _, _, sender, seq, _ in line.received:
            if kind == Kind.REQUEST:
                line.reply(sender, seq)

    @invariant()
    def nothing_is_doubled(self) -> None:
        for seat, lines in self.read.items():
            got = Counter(text for line in lines for text in line.bodies() if text not in self.to_any and text != "reply")
            assert all(count == 1 for count in got.values())
            assert set(got) <= set(self.sent[seat])

    @invariant()
    def each_process_reads_in_the_order_of_sending(self) -> None:
        for seat, lines in self.read.items():
            for line in lines:
                numbers = [int(text) for text in line.bodies() if text in self.sent[seat]]
                # What a dead process left goes to the one that sits there now, behind what that one has already.
                assert len(lines) > 1 or numbers == sorted(numbers)

    def teardown(self) -> None:
        for seat in SEATS:
            self.boot(seat)
            self.activate(seat, len(self.alive[seat]) - 1)
            for line in self.alive[seat]:
                line.catch_up()
            self.answer_all(seat, len(self.alive[seat]) - 1)
        for seat, lines in self.read.items():
            for line in list(self.alive[seat]):
                self.relay.detach(line.peer)
            got = [text for line in lines for text in line.bodies() if text not in self.to_any]
            assert sorted(got) == sorted(self.sent[seat]), "each message was read exactly once"
        everyone = [text for lines in self.read.values() for line in lines for text in line.bodies() if text in self.to_any]
        assert sorted(everyone) == sorted(self.to_any)
        self._each_request_ended_once()
        assert self.sender.reads

    def _each_request_ended_once(self) -> None:
        ends = Counter(frame[5] for frame in self.sender.received if frame[0] == Kind.REPLY)
        ends.update(told.request for told in self.sender.undelivered())
        assert ends == Counter(dict.fromkeys(self.asked, 1)), "each request was answered or given back, once"


def test_the_relay_does_what_its_model_does() -> None:
    gc.collect()  # as in test_supervisor
    run_state_machine_as_test(Model, settings=settings(max_examples=60, stateful_step_count=40, deadline=None))
