"""Messages between real processes: who gets them, what is answered, and what becomes of them while somebody is replaced."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import msgspec
import pytest
from tests.process import proc
from tests.process.harness import Cluster, Start
from tests.process.http_client import Connection
from tests.process.site import Site

from tamago.ipc import control_messages, wire

_AGENT = """
from report import say
from tamago import messenger
import talk  # its handlers

class Agent:
    async def start(self):
        for number in range(100):
            messenger.send_to_app("tell", ["early", number])
        say("agent-start")

    async def ready(self):
        say("agent-ready")

    async def stop(self):
        say("agent-stop")
"""


@pytest.fixture
def talkers(site: Site, start: Start) -> Cluster:
    """Three workers and an agent."""
    site.use("talk", as_="talk")
    site.write("agent.py", _AGENT)
    cluster = start("--stop-timeout", "2", app="talk:app", workers=3)
    cluster.expect_ready(count=3)
    cluster.expect("@agent-ready")
    return cluster


def ask(connection: Connection, path: str, data: Any = None) -> dict[str, Any]:
    answer: dict[str, Any] = connection.post(path, json.dumps(data).encode()).json()
    return answer


def once(cluster: Cluster, path: str, data: Any = None) -> dict[str, Any]:
    with cluster.connect() as connection:
        return ask(connection, path, data)


def written(site: Site, role: str, slot: int = 0) -> list[tuple[int, int]]:
    """What the handler `write` got, in order: the number and the pid it came to."""
    path = site.app / f"written-{role}-{slot}"
    lines = path.read_text().splitlines() if path.exists() else []
    return [(int(line.split()[0]), int(line.split()[1])) for line in lines]


@contextmanager
def streaming(site: Site, cluster: Cluster, path: str, data: Any, role: str, slot: int = 0) -> Iterator[Future[dict[str, Any]]]:
    """Have somebody send numbers, from before the block until it ends."""
    with ThreadPoolExecutor(1) as pool:
        sending = pool.submit(once, cluster, path, data)
        try:
            while not written(site, role, slot):
                assert not sending.done(), sending.result()
            yield sending
        finally:
            site.write("enough", "")


def wait_receivers(site: Site, role: str, slot: int, count: int, sending: Future[dict[str, Any]]) -> None:
    """Block until so many processes have got one of the numbers."""
    while len({pid for _, pid in written(site, role, slot)}) < count:
        assert not sending.done(), sending.result()


def assert_each_once(got: list[tuple[int, int]], sent: int, *, receivers: int) -> None:
    """Every number came once, and to each receiver in order. The old one may still work on what it had when the new one begins."""
    assert sorted(number for number, _ in got) == list(range(sent))
    pids = {pid for _, pid in got}
    assert len(pids) == receivers
    for pid in pids:
        numbers = [number for number, receiver in got if receiver == pid]
        assert numbers == sorted(numbers)


# ── who gets what ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_worker_asks_the_agent_and_another_worker_and_gets_answers(talkers: Cluster) -> None:
    assert once(talkers, "/request/agent/who")["result"] == {"role": "agent", "slot": 0, "pid": talkers.pid_of("agent")}
    for slot, pid in talkers.workers().items():
        assert once(talkers, f"/request/slot-{slot}/who")["result"] == {"role": "worker", "slot": slot, "pid": pid}
        assert once(talkers, f"/request/pid-{pid}/double", 21)["result"] == 42


def test_the_agent_asks_a_worker(talkers: Cluster) -> None:
    answer = once(talkers, "/request/agent/ask", {"to": "slot-2", "action": "who"})
    assert answer["result"]["slot"] == 2


def test_a_request_to_any_worker_is_answered_by_all_of_them_in_turn(talkers: Cluster) -> None:
    answered = Counter(once(talkers, "/request/random/who")["result"]["slot"] for _ in range(30))
    assert set(answered) == {1, 2, 3}


def test_a_broadcast_reaches_the_agent_and_each_worker_once_the_sender_included(site: Site, talkers: Cluster) -> None:
    once(talkers, "/send/all/write", 7)
    # A request to each comes after the message: order is kept from one sender to one receiver.
    with talkers.connect() as connection:
        ask(connection, "/send/all/write", 8)
        for to in ("agent", "slot-1", "slot-2", "slot-3"):
            ask(connection, f"/request/{to}/who")
    for role, slot in (("agent", 0), ("worker", 1), ("worker", 2), ("worker", 3)):
        assert sorted(number for number, _ in written(site, role, slot)) == [7, 8]


def test_what_one_sends_to_another_arrives_in_order(site: Site, talkers: Cluster) -> None:
    with talkers.connect() as connection:
        ask(connection, "/count/agent/write/0/2000")
        ask(connection, "/request/agent/who")
    assert [number for number, _ in written(site, "agent")] == list(range(2000))


def test_what_the_agent_sends_before_the_workers_are_up_waits_for_them(talkers: Cluster) -> None:
    for _ in range(20):
        got = once(talkers, "/got")["result"]
        assert got == [["early", number] for number in range(100)]


# ── errors ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_error_of_the_handler_comes_back_with_its_text_and_traceback(talkers: Cluster) -> None:
    answer = once(talkers, "/request/agent/fail", "that")
    assert answer["error"] == "RemoteError"
    assert "ValueError: cannot do that" in answer["text"]
    assert "raise ValueError" in answer["detail"]


def test_a_request_nobody_handles_says_so(talkers: Cluster) -> None:
    assert once(talkers, "/request/agent/nothing")["error"] == "NoHandlerError"


def test_a_request_that_is_not_answered_in_time_says_so(talkers: Cluster) -> None:
    assert once(talkers, "/request/agent/never/0.2")["error"] == "RequestTimeoutError"


def test_a_request_to_a_pid_that_is_not_there_says_so(talkers: Cluster) -> None:
    assert once(talkers, f"/request/pid-{talkers.pid}/who")["error"] == "ReceiverGoneError"


def test_a_request_to_a_process_that_dies_meanwhile_is_answered_with_an_error(talkers: Cluster) -> None:
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(once, talkers, "/request/agent/never/20")
        talkers.expect("@never")
        proc.end(talkers.pid_of("agent"))
        # Had nobody noticed, it would be the timeout that is told.
        assert asked.result()["error"] == "ReceiverGoneError"


def test_a_message_that_is_too_large_is_refused_at_the_sender_who_lives_on(talkers: Cluster) -> None:
    with talkers.connect() as connection:
        answer = ask(connection, "/large/agent/17")
        assert answer["error"] == "FrameTooLargeError"
        assert ask(connection, "/large/agent/15")["result"] == 0
        assert ask(connection, "/request/agent/double", 4)["result"] == 8


# ── while somebody is replaced ───────────────────────────────────────────────────────────────────────────────────────


def test_messages_to_an_agent_that_is_replaced_are_neither_lost_nor_doubled(site: Site, talkers: Cluster) -> None:
    with streaming(site, talkers, "/stream", {"to": "agent", "action": "write"}, "agent") as sending:
        for receivers in (2, 3):
            talkers.call("restart_agent")
            wait_receivers(site, "agent", 0, receivers, sending)
    talkers.expect(r"agent gen=1 pid=\d+ left", count=2)
    assert_each_once(written(site, "agent"), sending.result()["result"], receivers=3)


def test_messages_to_an_agent_that_is_killed_are_not_doubled_and_stay_in_order(site: Site, talkers: Cluster) -> None:
    with streaming(site, talkers, "/stream", {"to": "agent", "action": "write"}, "agent") as sending:
        proc.end(talkers.pid_of("agent"))
        talkers.expect("@agent-ready", count=2)
    sent = sending.result()["result"]
    numbers = [number for number, _ in written(site, "agent")]
    assert numbers == sorted(set(numbers))
    assert numbers[-1] == sent - 1
    # What the dead one had been given and had not handled yet is gone with it: no more than its socket holds.
    assert sent - len(numbers) < 1_000


def test_messages_to_a_slot_wait_for_its_next_worker(site: Site, talkers: Cluster) -> None:
    with streaming(site, talkers, "/request/agent/stream/60", {"to": "slot-2", "action": "write"}, "worker", 2) as sending:
        talkers.call("kick", slot=2)
        wait_receivers(site, "worker", 2, 2, sending)
    talkers.expect(r"worker 2 gen=1 pid=\d+ left")
    assert_each_once(written(site, "worker", 2), sending.result()["result"], receivers=2)


def test_messages_cross_a_reload(site: Site, talkers: Cluster) -> None:
    talkers.call("reload")
    assert once(talkers, "/request/agent/who")["result"]["pid"] == talkers.pid_of("agent")
    for slot in (1, 2, 3):
        assert once(talkers, f"/request/slot-{slot}/who")["result"]["slot"] == slot


def test_peers_is_a_live_view_of_who_is_up(talkers: Cluster) -> None:
    def seen() -> list[list[Any]]:
        found: list[list[Any]] = once(talkers, "/peers")["result"]
        return sorted(found)

    def there() -> list[list[Any]]:
        workers = [["worker", slot, pid] for slot, pid in talkers.workers().items()]
        return sorted([["agent", 0, talkers.pid_of("agent")], *workers])

    assert seen() == there()
    talkers.output.mark()
    proc.end(talkers.workers()[2])
    talkers.expect_ready(slot=2)
    while seen() != there():
        pass  # each of them is told by the master, in the background


def test_a_flood_is_delivered_and_neither_grows_the_master_nor_looks_like_a_hang(site: Site, start: Start) -> None:
    site.use("talk", as_="talk")
    cluster = start("--hang-timeout", "2", app="talk:app", workers=2)
    cluster.expect_ready(count=2)
    before = proc.resident_kib(cluster.pid)
    with cluster.connect() as connection:
        assert ask(connection, "/count/all/double/0/50000")["result"] is None
        ask(connection, "/request/agent/who")
    assert proc.resident_kib(cluster.pid) - before < 80 * 1024
    assert "hangs" not in cluster.output.text
    assert cluster.status()["degraded"] is False


# ── a child that is hostile ──────────────────────────────────────────────────────────────────────────────────────────


def frame(
    body: bytes = b"", *, kind: int = wire.Kind.MESSAGE, route: int = wire.Route.ALL, sender: int = 0, length: int | None = None
) -> str:
    """A frame as a process would write it that does not use our code."""
    header = wire.HEADER.pack(len(body) if length is None else length, kind, route, 0, 0, sender, 0)
    return (header + body).hex()


def control(message: Any) -> str:
    return frame(msgspec.msgpack.encode(message), kind=wire.Kind.CONTROL, route=wire.Route.MASTER)


@pytest.mark.parametrize(
    "injected",
    [
        pytest.param(frame(b"\x92\xa4tell\x01", sender=1), id="in the name of the nest"),
        pytest.param(frame(kind=99), id="a kind there is not"),
        pytest.param(frame(route=99), id="a route there is not"),
        pytest.param(frame(length=64 << 20), id="a length over the limit"),
        pytest.param("ff" * 4096, id="garbage"),
        pytest.param(frame(b"\xc1\xc1\xc1", kind=wire.Kind.CONTROL, route=wire.Route.MASTER), id="a control message that is none"),
        pytest.param(control(control_messages.Forked(peer=2, pid=1)), id="a fork nobody asked it for"),
        pytest.param(control(control_messages.Imported(mode="fork", threads=[], seconds=0.0)), id="an import"),
        pytest.param(control(control_messages.Drain(closing=True)), id="an order"),
    ],
)
def test_a_worker_that_sends_what_no_worker_sends_is_replaced_and_nobody_else_notices(talkers: Cluster, injected: str) -> None:
    before = talkers.tree()
    talkers.output.mark()
    with talkers.connect() as connection:
        connection.send("/inject", body=json.dumps(injected).encode())
        pid = int(talkers.expect(r"worker \d gen=1 pid=(\d+) is replaced: ")[0][1])
    talkers.expect_ready(slot=int(before.pop(pid).split()[1]))
    assert before.items() <= talkers.tree().items(), "nobody else was replaced"
    assert once(talkers, "/request/agent/double", 2)["result"] == 4


def test_a_worker_that_closes_its_channel_is_replaced(talkers: Cluster) -> None:
    talkers.output.mark()
    with talkers.connect() as connection:
        connection.send("/mute", body=b"null")
        talkers.expect_ready()
    assert len(talkers.workers()) == 3
