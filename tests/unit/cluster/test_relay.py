from __future__ import annotations

import pytest
from tests.unit.cluster.fake_line import FakeLine

from tamago.cluster import pace, waiting
from tamago.cluster.relay import Relay
from tamago.ipc import wire
from tamago.ipc.control_messages import LONGEST_CONTROL, Booted, Forked, FromChild, Hello, Imported, Undelivered
from tamago.ipc.wire import HEADER, Kind, Route
from tamago.types import Role


class Cluster:
    """A relay and its children; peers are numbered as they come."""

    def __init__(self, slots: int = 2, *, agent: bool = True) -> None:
        self.controls: list[tuple[int, FromChild]] = []
        self.hostile: list[tuple[int, str]] = []
        self.ended: list[int] = []
        self.relay = Relay(
            on_control=lambda peer, message: self.controls.append((peer, message)),
            on_hostile=lambda peer, reason: self.hostile.append((peer, reason)),
            on_closed=self.ended.append,
            agent=agent,
        )
        self.relay.set_slots(slots)
        self._peers = 0

    def boot(self, role: Role, slot: int = 0, pid: int = 0) -> FakeLine:
        """Attach a process that is not active yet."""
        self._peers += 1
        line = FakeLine(self._peers)
        self.relay.attach(self._peers, role, slot, 1, pid or 1000 + self._peers, line)
        return line

    def worker(self, slot: int) -> FakeLine:
        line = self.boot(Role.WORKER, slot)
        self.relay.activate(line.peer)
        return line

    def agent(self) -> FakeLine:
        line = self.boot(Role.AGENT)
        self.relay.activate(line.peer)
        return line


def big(text: str) -> str:
    return text.ljust(pace.HIGH_WATER, ".")


# ── who gets what ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_each_route_reaches_whom_it_names() -> None:
    cluster = Cluster()
    agent, one, two = cluster.agent(), cluster.worker(1), cluster.worker(2)
    one.message(Route.AGENT, "agent")
    one.message(Route.APP, "app")
    one.message(Route.ALL, "all")
    one.message(Route.SLOT, "slot 2", slot=2)
    one.message(Route.PEER, "peer", to=agent.peer)
    one.message(Route.PID, "pid", to=1002)
    assert agent.bodies() == ["agent", "all", "peer"]
    assert one.bodies() == ["app", "all", "pid"]
    assert two.bodies() == ["app", "all", "slot 2"]
    assert cluster.hostile == []


def test_the_frame_arrives_with_its_sender_as_it_was_sent() -> None:
    cluster = Cluster()
    agent, one = cluster.agent(), cluster.worker(1)
    one.request(Route.AGENT, "x", 77)
    assert [frame[:6] for frame in agent.received] == [(Kind.REQUEST, Route.AGENT, 0, 0, one.peer, 77)]


def test_a_message_to_any_worker_goes_round_those_that_are_up() -> None:
    cluster = Cluster(3)
    agent, one, _, three = cluster.agent(), cluster.worker(1), cluster.boot(Role.WORKER, 2), cluster.worker(3)
    for number in range(4):
        agent.message(Route.RANDOM, str(number))
    assert (one.bodies(), three.bodies()) == (["0", "2"], ["1", "3"])


def test_a_message_to_any_worker_avoids_one_that_does_not_keep_up() -> None:
    cluster = Cluster()
    agent, one, two = cluster.agent(), cluster.worker(1), cluster.worker(2)
    one.stuck = True
    agent.message(Route.SLOT, big("."), slot=1)
    two_says = cluster.boot(Role.WORKER, 2)
    for number in range(4):
        two_says.message(Route.RANDOM, str(number))
    assert two.bodies() == ["0", "1", "2", "3"]


def test_a_run_of_messages_arrives_in_order_whatever_lies_between() -> None:
    cluster = Cluster()
    agent, one = cluster.agent(), cluster.worker(1)
    routes = [Route.AGENT, Route.AGENT, Route.APP, Route.AGENT, Route.ALL, Route.AGENT]
    one.say(b"".join(wire.pack(Kind.MESSAGE, route, b"%d" % number, sender=one.peer) for number, route in enumerate(routes)))
    assert agent.bodies() == ["0", "1", "3", "4", "5"]
    assert one.bodies() == ["2", "4"]


def test_a_frame_in_pieces_waits_for_its_end() -> None:
    cluster = Cluster()
    agent, one = cluster.agent(), cluster.worker(1)
    for byte in wire.pack(Kind.MESSAGE, Route.AGENT, b"whole", sender=one.peer):
        assert agent.bodies() == []
        one.say(bytes([byte]))
    assert agent.bodies() == ["whole"]


@pytest.mark.parametrize(("route", "slot", "to"), [(Route.SLOT, 9, 0), (Route.SLOT, 0, 0), (Route.PID, 0, 4711), (Route.PEER, 0, 99)])
def test_a_message_to_nobody_is_given_back(route: Route, slot: int, to: int) -> None:
    cluster = Cluster()
    one = cluster.worker(1)
    one.message(route, "x", slot=slot, to=to)
    one.request(route, "x", 5, slot=slot, to=to)
    assert {(told.request, told.count) for told in one.undelivered()} == {(0, 1), (5, 1)}
    assert cluster.relay.undelivered == 2


def test_in_a_cluster_without_an_agent_messages_to_it_are_given_back() -> None:
    cluster = Cluster(agent=False)
    one = cluster.worker(1)
    one.message(Route.AGENT, "x")
    one.request(Route.AGENT, "x", 5)
    one.message(Route.ALL, "all")
    assert sorted(told.request for told in one.undelivered()) == [0, 5]
    assert one.bodies() == ["all"]


def test_a_pid_learnt_later_is_an_address_from_then_on() -> None:
    cluster = Cluster()
    one, two = cluster.worker(1), cluster.worker(2)
    cluster.relay.set_pid(two.peer, 5555)
    one.message(Route.PID, "x", to=5555)
    assert two.bodies() == ["x"]


def test_the_nest_is_nobodys_receiver() -> None:
    cluster = Cluster()
    nest, one = cluster.boot(Role.NEST, pid=4000), cluster.worker(1)
    one.message(Route.PID, "x", to=4000)
    one.message(Route.PEER, "x", to=nest.peer)
    assert nest.received == []
    assert len(one.undelivered()) == 2


# ── waiting ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_what_is_sent_before_anyone_is_up_arrives_once_and_in_order() -> None:
    cluster = Cluster()
    one = cluster.boot(Role.WORKER, 1)
    for number in range(3):
        one.message(Route.AGENT, str(number))
    assert cluster.relay.waiting() == {"the agent": 3}
    agent = cluster.agent()
    one.message(Route.AGENT, "3")
    assert agent.bodies() == ["0", "1", "2", "3"]
    assert cluster.relay.waiting() == {}


def test_each_empty_seat_keeps_its_own_copy_of_a_message_to_all() -> None:
    cluster = Cluster(3)
    two = cluster.worker(2)
    two.message(Route.ALL, "hello")
    assert cluster.relay.waiting() == {"the agent": 1, "worker 1": 1, "worker 3": 1}
    assert [cluster.agent().bodies(), cluster.worker(1).bodies(), cluster.worker(3).bodies()] == [["hello"]] * 3


def test_a_process_that_boots_may_send_and_be_answered_and_gets_nothing_else() -> None:
    cluster = Cluster()
    agent, booting = cluster.agent(), cluster.boot(Role.WORKER, 1)
    booting.request(Route.AGENT, "rates", 1)
    agent.reply(booting.peer, 1, "1.08")
    agent.message(Route.SLOT, "later", slot=1)
    assert booting.bodies() == ["1.08"]
    cluster.relay.activate(booting.peer)
    cluster.relay.activate(booting.peer)
    assert booting.bodies() == ["1.08", "later"]


def test_a_message_to_any_worker_waits_for_the_first_that_comes() -> None:
    cluster = Cluster()
    agent = cluster.agent()
    agent.message(Route.RANDOM, "job")
    agent.request(Route.RANDOM, "ask", 1)
    two, one = cluster.worker(2), cluster.worker(1)
    assert (two.bodies(), one.bodies()) == (["job", "ask"], [])


def test_messages_wait_while_the_agent_is_replaced_and_none_is_lost_or_doubled() -> None:
    cluster = Cluster()
    old, one = cluster.agent(), cluster.worker(1)
    one.message(Route.AGENT, "1")
    cluster.relay.deactivate(old.peer)
    one.message(Route.AGENT, "2")
    new = cluster.boot(Role.AGENT)
    one.message(Route.AGENT, "3")
    cluster.relay.detach(old.peer)
    one.message(Route.AGENT, "4")
    cluster.relay.activate(new.peer)
    one.message(Route.AGENT, "5")
    assert (old.bodies(), new.bodies()) == (["1"], ["2", "3", "4", "5"])


def test_a_process_that_drains_reads_what_was_sent_to_it_and_may_send_and_be_answered() -> None:
    cluster = Cluster()
    agent, one = cluster.agent(), cluster.worker(1)
    one.request(Route.AGENT, "slow", 1)
    cluster.relay.deactivate(agent.peer)
    agent.reply(one.peer, 1)
    agent.message(Route.APP, "bye")
    agent.request(Route.SLOT, "last", 4, slot=1)
    one.reply(agent.peer, 4, "fine")
    assert one.bodies() == ["reply", "bye", "last"]
    assert agent.bodies() == ["slow", "fine"]


def test_the_next_in_a_seat_takes_it_over() -> None:
    cluster = Cluster()
    agent, old, new = cluster.agent(), cluster.worker(1), cluster.boot(Role.WORKER, 1)
    agent.message(Route.SLOT, "1", slot=1)
    cluster.relay.activate(new.peer)
    agent.message(Route.SLOT, "2", slot=1)
    agent.message(Route.RANDOM, "3")
    cluster.relay.deactivate(old.peer)
    agent.message(Route.SLOT, "4", slot=1)
    assert (old.bodies(), new.bodies()) == (["1"], ["2", "3", "4"])


def test_what_a_dead_process_never_got_goes_to_the_next_before_all_that_came_later() -> None:
    cluster = Cluster()
    old, one = cluster.agent(), cluster.worker(1)
    old.stuck = True
    one.message(Route.AGENT, "1")
    one.request(Route.AGENT, "2", 8)
    cluster.relay.deactivate(old.peer)
    one.message(Route.AGENT, "3")
    cluster.relay.detach(old.peer)
    new = cluster.agent()
    assert new.bodies() == ["1", "2", "3"]
    new.reply(one.peer, 8)
    assert one.bodies() == ["reply"]
    assert one.undelivered() == []


def test_what_a_dead_process_never_got_goes_to_its_successor_at_once_if_there_is_one() -> None:
    cluster = Cluster()
    old, two = cluster.worker(1), cluster.worker(2)
    old.stuck = True
    two.message(Route.APP, "app")
    two.message(Route.RANDOM, "any")
    new = cluster.worker(1)
    cluster.relay.detach(old.peer)
    assert new.bodies() == ["app"]
    assert two.bodies() == ["app", "any"]  # any worker will do, and it is two's turn


def test_what_was_meant_for_the_dead_process_itself_is_given_back() -> None:
    cluster = Cluster()
    one, two = cluster.worker(1), cluster.worker(2)
    two.stuck = True
    one.message(Route.PID, "x", to=1002)
    one.request(Route.PEER, "y", 3, to=two.peer)
    two_asks = cluster.boot(Role.AGENT)
    two_asks.request(Route.SLOT, "z", 1, slot=1)
    cluster.relay.detach(two.peer)
    cluster.worker(2)
    assert sorted((told.request, told.count) for told in one.undelivered()) == [(0, 1), (3, 1)]


@pytest.mark.parametrize("size", [1, 7_000])
def test_past_the_bound_the_sender_is_told_how_many_and_what_fitted_arrives(size: int) -> None:
    cluster = Cluster()
    one = cluster.worker(1)
    count = 12_000
    body = bytes(size)
    one.say(wire.pack(Kind.MESSAGE, Route.AGENT, body, sender=one.peer) * count)
    fits = min(waiting.MAX_FRAMES, waiting.MAX_BYTES // (size + 20))
    assert cluster.relay.waiting() == {"the agent": fits}
    [told] = one.undelivered()
    assert (told.request, told.count) == (0, count - fits)
    one.request(Route.AGENT, "r" * size, 6)
    assert [told.request for told in one.undelivered()[1:]] == [6]
    assert len(cluster.agent().received) == fits


def test_a_slot_that_goes_gives_back_what_waits_for_it() -> None:
    cluster = Cluster(3)
    one, three = cluster.worker(1), cluster.worker(3)
    one.message(Route.SLOT, "x", slot=2)
    one.request(Route.SLOT, "y", 4, slot=2)
    cluster.relay.set_slots(1)
    assert sorted(told.request for told in one.undelivered()) == [0, 4]
    one.message(Route.APP, "app")
    one.message(Route.RANDOM, "any")
    assert three.bodies() == []
    assert one.bodies() == ["app", "any"]
    cluster.relay.set_slots(2)
    one.message(Route.SLOT, "again", slot=2)
    assert cluster.worker(2).bodies() == ["again"]


def test_a_worker_of_a_slot_that_went_dies_without_a_trace() -> None:
    cluster = Cluster(2)
    one, two = cluster.worker(1), cluster.worker(2)
    two.stuck = True
    one.message(Route.APP, "x")
    cluster.relay.set_slots(1)
    cluster.relay.activate(two.peer)
    cluster.relay.detach(two.peer)
    assert [told.reason for told in one.undelivered()] == ["worker 2 died before it got the message"]


def test_when_the_cluster_stops_nothing_waits_and_what_is_up_is_still_reached() -> None:
    cluster = Cluster()
    agent, one = cluster.agent(), cluster.worker(1)
    one.request(Route.SLOT, "a", 1, slot=2)
    cluster.relay.close()
    one.request(Route.SLOT, "b", 2, slot=2)
    one.message(Route.AGENT, "c")
    cluster.relay.deactivate(agent.peer)
    one.message(Route.AGENT, "d")
    assert [(told.request, told.reason) for told in one.undelivered()] == [
        (1, "the cluster is stopping"),
        (2, "the cluster is stopping"),
        (0, "the cluster is stopping"),
    ]
    assert agent.bodies() == ["c"]


# ── requests ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_receiver_that_dies_ends_the_requests_it_left_unanswered_and_no_other() -> None:
    cluster = Cluster()
    agent, one = cluster.agent(), cluster.worker(1)
    one.request(Route.AGENT, "a", 1)
    one.request(Route.AGENT, "b", 2)
    agent.reply(one.peer, 1)
    cluster.relay.detach(agent.peer)
    assert one.undelivered() == [Undelivered(request=2, reason="the agent died before it answered")]


def test_an_answer_given_before_death_counts_though_it_was_not_read_yet() -> None:
    cluster = Cluster()
    agent, one = cluster.agent(), cluster.worker(1)
    one.request(Route.AGENT, "a", 1)
    agent.pause_reading()
    agent.reply(one.peer, 1, "just in time")
    assert one.bodies() == []
    cluster.relay.detach(agent.peer)
    assert one.bodies() == ["just in time"]
    assert one.undelivered() == []


def test_answers_to_a_requester_that_is_gone_are_dropped_and_counted() -> None:
    cluster = Cluster()
    agent, one = cluster.agent(), cluster.worker(1)
    one.request(Route.AGENT, "a", 1)
    cluster.relay.detach(one.peer)
    agent.reply(one.peer, 1)
    assert cluster.relay.dropped_answers == 1
    assert cluster.hostile == []


def test_only_who_was_asked_may_answer_and_only_once() -> None:
    cluster = Cluster()
    agent, one, two = cluster.agent(), cluster.worker(1), cluster.worker(2)
    one.request(Route.AGENT, "a", 1)
    two.reply(one.peer, 1, "forged")
    agent.reply(one.peer, 1, "true", kind=Kind.ERROR)
    agent.reply(one.peer, 1, "again")
    assert one.bodies() == ["true"]
    assert cluster.relay.dropped_answers == 2


def test_a_request_that_waited_ends_when_its_receiver_dies_after_all() -> None:
    cluster = Cluster()
    one = cluster.worker(1)
    one.request(Route.AGENT, "a", 1)
    agent = cluster.agent()
    cluster.relay.detach(agent.peer)
    assert [told.request for told in one.undelivered()] == [1]


# ── pace ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_who_sends_to_a_slow_reader_is_not_read_until_it_caught_up() -> None:
    cluster = Cluster()
    agent, one, two = cluster.agent(), cluster.worker(1), cluster.worker(2)
    agent.stuck = True
    one.message(Route.AGENT, big("1"))
    one.message(Route.AGENT, "2")
    two.message(Route.SLOT, "to one", slot=1)
    assert not one.reads
    assert two.reads
    assert one.bodies() == ["to one"]
    agent.catch_up()
    assert one.reads
    one.say(b"")
    assert [len(body) for body in agent.bodies()] == [pace.HIGH_WATER, 1]


def test_a_sender_that_waits_for_two_waits_for_both() -> None:
    cluster = Cluster()
    agent, one, two = cluster.agent(), cluster.worker(1), cluster.worker(2)
    one.stuck = two.stuck = True
    agent.message(Route.APP, big("x"))
    one.catch_up()
    assert not agent.reads
    two.catch_up()
    assert agent.reads


def test_the_death_of_a_slow_reader_lets_its_senders_go_on() -> None:
    cluster = Cluster()
    agent, one = cluster.agent(), cluster.worker(1)
    agent.stuck = True
    one.message(Route.AGENT, big("x"))
    assert not one.reads
    cluster.relay.detach(agent.peer)
    assert one.reads
    assert len(cluster.agent().received) == 1


def test_a_sender_that_dies_while_it_waits_is_heard_to_the_end() -> None:
    cluster = Cluster()
    agent, one = cluster.agent(), cluster.worker(1)
    agent.stuck = True
    one.message(Route.AGENT, big("1"))
    one.message(Route.AGENT, "2")
    cluster.relay.detach(one.peer)
    agent.catch_up()
    assert [body[0] for body in agent.bodies()] == ["1", "2"]


def test_the_masters_own_words_and_half_a_queue_pause_nobody() -> None:
    cluster = Cluster()
    agent, one = cluster.agent(), cluster.worker(1)
    agent.stuck = True
    one.message(Route.AGENT, "x" * (pace.HIGH_WATER - 1000))
    assert one.reads


def test_complaints_to_one_who_does_not_read_are_added_up() -> None:
    cluster = Cluster()
    one = cluster.worker(1)
    one.stuck = True
    two = cluster.worker(2)
    two.message(Route.SLOT, big("x"), slot=1)
    one.resume_reading()
    for _ in range(5):
        one.message(Route.SLOT, "x", slot=9)
    one.catch_up()
    assert [(told.count, told.reason) for told in one.undelivered()] == [(5, "there is no worker 9")]


# ── hostile and broken children ──────────────────────────────────────────────────────────────────────────────────────


def test_control_messages_reach_the_master_with_the_peer_they_are_from() -> None:
    cluster = Cluster()
    one, nest = cluster.worker(1), cluster.boot(Role.NEST)
    one.control(Hello(version=1, pid=5))
    nest.control(Imported(mode="fork", threads=[], seconds=0.1))
    assert cluster.controls == [(one.peer, Hello(version=1, pid=5)), (nest.peer, Imported(mode="fork", threads=[], seconds=0.1))]


def frame(kind: int, route: int, body: bytes = b"", *, sender: int = 1, seq: int = 0) -> bytes:
    return HEADER.pack(len(body), kind, route, 0, 0, sender, seq) + body


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (frame(1, Route.AGENT, sender=2), "in the name of another"),
        (frame(5, Route.MASTER, sender=0), "in the name of another"),
        (frame(1, Route.MASTER), "a message with route 0"),
        (frame(1, 8), "a message with route 8"),
        (frame(0, 0), "unknown kind 0"),
        (frame(200, 1), "unknown kind 200"),
        (frame(2, Route.APP, seq=1), "a request with route 2"),
        (frame(2, Route.MASTER, seq=1), "a request with route 0"),
        (frame(2, 9, seq=1), "a request with route 9"),
        (frame(2, Route.AGENT, seq=0), "a request with route 1 and number 0"),
        (frame(3, Route.APP, seq=1), "an answer with route 2"),
        (frame(5, Route.APP, b"\x80"), "a control message with route 2"),
        (frame(5, Route.MASTER, b"\xc1"), "a control message that is none"),
        (frame(5, Route.MASTER, b"\x91" * 3000), "a control message that is none"),
        (frame(5, Route.MASTER, b"\x82\xa4type\xa5Hello\xa3pid\xa1x"), "a control message that is none"),
        pytest.param(frame(5, Route.MASTER, bytes(LONGEST_CONTROL + 1)), "a control message of 1048577 bytes, over the limit", id="long"),
    ],
)
def test_a_bad_frame_is_dropped_reported_and_the_next_one_is_heard(data: bytes, reason: str) -> None:
    cluster = Cluster()
    one, agent = cluster.worker(1), cluster.agent()
    one.say(data * 3 + wire.pack(Kind.MESSAGE, Route.AGENT, b"next", sender=1))
    assert agent.bodies() == ["next"]
    assert [peer for peer, _ in cluster.hostile] == [1]
    assert reason in cluster.hostile[0][1]
    assert cluster.controls == []


def test_a_worker_cannot_speak_as_the_nest_nor_the_nest_as_a_worker() -> None:
    cluster = Cluster()
    one, nest, agent = cluster.worker(1), cluster.boot(Role.NEST), cluster.agent()
    one.control(Forked(peer=9, pid=1))
    nest.control(Booted(phases=[]))
    nest.message(Route.AGENT, "hello")
    nest.request(Route.AGENT, "hello", 1)
    assert agent.received == []
    assert cluster.controls == []
    assert [peer for peer, _ in cluster.hostile] == [one.peer, nest.peer, nest.peer, nest.peer]


@pytest.mark.parametrize("step", [1, 1000, 70_000])
def test_a_frame_over_the_limit_is_thrown_away_without_being_kept(step: int) -> None:
    cluster = Cluster()
    one, agent = cluster.worker(1), cluster.agent()
    size = wire.MAX_BODY + 1
    one.say(HEADER.pack(size, Kind.MESSAGE, Route.AGENT, 0, 0, 1, 0)[: min(step, 20)])
    one.say(HEADER.pack(size, Kind.MESSAGE, Route.AGENT, 0, 0, 1, 0)[min(step, 20) :])
    assert len(one._said) == 0
    sent = 0
    while sent < size:
        part = min(1 << 20, size - sent)
        one.say(bytes(part))
        sent += part
    one.message(Route.AGENT, "next")
    assert agent.bodies() == ["next"]
    assert [reason for _, reason in cluster.hostile] == [f"a frame of {size} bytes, over the limit of {wire.MAX_BODY}"]


def test_the_end_of_a_channel_is_told_to_the_master() -> None:
    cluster = Cluster()
    one = cluster.worker(1)
    one.on_eof()
    assert cluster.ended == [one.peer]


def test_what_the_master_tells_of_a_process_it_parted_with_is_nothing() -> None:
    cluster = Cluster()
    one = cluster.worker(1)
    cluster.relay.detach(one.peer)
    cluster.relay.detach(one.peer)
    cluster.relay.deactivate(one.peer)
    assert one.closed


def test_a_master_that_activates_a_process_from_its_own_message_keeps_the_order() -> None:
    cluster = Cluster()
    agent = cluster.boot(Role.AGENT)
    one = cluster.worker(1)
    one.message(Route.AGENT, "waited")
    cluster.relay._on_control = lambda peer, message: cluster.relay.activate(peer)
    agent.say(
        wire.pack(Kind.MESSAGE, Route.AGENT, b"to itself", sender=agent.peer)
        + wire.pack(Kind.CONTROL, Route.MASTER, b"\x82\xa4type\xa6Booted\xa6phases\x90", sender=agent.peer)
        + wire.pack(Kind.MESSAGE, Route.AGENT, b"and after", sender=agent.peer)
    )
    assert agent.bodies() == ["waited", "to itself", "and after"]


def test_a_process_the_master_parts_with_while_it_speaks_is_heard_and_not_paused() -> None:
    cluster = Cluster()
    agent, one = cluster.agent(), cluster.worker(1)
    agent.stuck = True
    cluster.relay._on_control = lambda peer, message: cluster.relay.detach(peer)
    one.say(
        wire.pack(Kind.CONTROL, Route.MASTER, b"\x82\xa4type\xa6Booted\xa6phases\x90", sender=one.peer)
        + wire.pack(Kind.MESSAGE, Route.AGENT, big("last").encode(), sender=one.peer)
    )
    agent.catch_up()
    assert [body[:4] for body in agent.bodies()] == ["last"]
