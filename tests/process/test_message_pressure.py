"""Messages when it is hard: too many, too early, too late, to somebody who does not read, and while everybody is replaced."""

from __future__ import annotations

import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from tests.process import proc
from tests.process.harness import Cluster, Start
from tests.process.site import Site

_MODES = pytest.mark.parametrize("mode", [(), ("--no-preload",)], ids=["preloaded", "spawned"])
Pressing = Callable[..., Cluster]


@pytest.fixture
def pressing(site: Site, start: Start) -> Pressing:
    """Start the application that sends a lot, with its agent."""
    site.use("pressure")
    return lambda *arguments, **options: start("--agent", "main:Agent", *arguments, **options)


def kept(site: Site, role: str, slot: int = 0) -> list[tuple[str, int, int]]:
    """What came to a process in that seat: who sent it, its number, and the pid it came to."""
    path = site.app / f"kept-{role}-{slot}"
    lines = path.read_text().splitlines() if path.exists() else []
    return [(tag, int(number), int(pid)) for tag, number, pid in (line.rsplit(" ", 2) for line in lines)]


def via(cluster: Cluster, slot: int, path: str) -> Any:
    """What the worker in that slot answers, asked on as many connections as it takes to find it."""
    while True:
        with cluster.connect() as connection:
            me = connection.get("/me")
            if me.json()["slot"] == slot and not me.closes:  # one that is being replaced answers once and closes
                return connection.get(path).json()


# ── too early, too late ──────────────────────────────────────────────────────────────────────────────────────────────


@_MODES
def test_a_worker_may_ask_the_agent_while_it_boots(pressing: Pressing, mode: tuple[str, ...]) -> None:
    cluster = pressing(*mode)
    assert len(cluster.output.found("@asked .*answer=42", everywhere=True)) == 2


def test_what_workers_say_at_their_end_still_reaches_the_agent_and_what_comes_later_delays_nothing(site: Site, pressing: Pressing) -> None:
    cluster = pressing()
    assert cluster.stop() == 0
    assert sorted((tag, number) for tag, number, _ in kept(site, "agent")) == [("goodbye", 1), ("goodbye", 2)]


def test_every_process_knows_who_it_is(site: Site, pressing: Pressing) -> None:
    cluster = pressing(workers=3)
    for slot, pid in cluster.workers().items():
        expected = {"role": "worker", "slot": slot, "pid": pid, "title": cluster.title, "env": "prod", "in": True}
        assert via(cluster, slot, "/me") == expected


# ── too many ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_ten_thousand_messages_wait_for_an_agent_that_is_not_up_and_the_sender_is_told_of_the_rest(site: Site, pressing: Pressing) -> None:
    cluster = pressing()
    cluster.expect("@agent-ready")
    gate = site.gate("gate")
    site.write("slow", "")
    proc.end(cluster.pid_of("agent"))
    cluster.expect("@agent-boots")
    cluster.output.mark()
    refused = cluster.get("/fill/agent/10050").json()
    assert sum(refused.values()) == 50
    assert all("too much waits already for the agent" in reason for reason in refused)
    cluster.expect(r"WARNING .*message\(s\) of this process could not be delivered: too much waits already for the agent")
    gate.open()
    cluster.expect("@agent-ready")
    assert cluster.get("/ask/agent").json() == "asked"
    assert [number for _, number, _ in kept(site, "agent")] == list(range(10_000))


def test_a_sender_that_never_waits_is_refused_before_it_eats_the_memory(pressing: Pressing) -> None:
    cluster = pressing()
    before = proc.resident_kib(cluster.pid)
    assert cluster.get("/careless/agent").json() == "QueueFullError"
    assert cluster.get("/ask/agent").json() == "asked"
    assert proc.resident_kib(cluster.pid) - before < 100 * 1024


def test_a_receiver_that_does_not_read_slows_its_sender_and_nobody_else(site: Site, pressing: Pressing) -> None:
    cluster = pressing(workers=3)
    workers = cluster.workers()
    before = proc.resident_kib(cluster.pid)
    with ThreadPoolExecutor(1) as pool, proc.watching(workers[2]) as stopped:
        signal.pidfd_send_signal(stopped, signal.SIGSTOP)
        sending = pool.submit(via, cluster, 1, "/heavy/2/600")
        cluster.expect("@slowed")
        assert not sending.done()
        assert proc.resident_kib(cluster.pid) - before < 30 * 1024, "600 messages are 38 MiB"
        assert via(cluster, 3, "/ask/agent") == "asked"
        assert via(cluster, 3, "/ask/3") == "asked"
        signal.pidfd_send_signal(stopped, signal.SIGCONT)
        assert sending.result() == 600
    assert via(cluster, 1, "/ask/2") == "asked"
    assert [number for _, number, _ in kept(site, "worker", 2)] == list(range(600))
    assert cluster.workers() == workers


def test_half_a_frame_holds_up_nobody_else(pressing: Pressing) -> None:
    cluster = pressing()
    via(cluster, 1, "/half")
    cluster.expect("@half")
    assert via(cluster, 2, "/ask/agent") == "asked"
    cluster.call("kick", slot=1)
    assert via(cluster, 1, "/ask/agent") == "asked"
    assert via(cluster, 2, "/ask/1") == "asked"


# ── while everybody is replaced ──────────────────────────────────────────────────────────────────────────────────────


@_MODES
def test_numbered_messages_of_two_workers_survive_a_reload_of_all_of_them(site: Site, pressing: Pressing, mode: tuple[str, ...]) -> None:
    cluster = pressing(*mode)
    with ThreadPoolExecutor(2) as pool:
        sending = [pool.submit(via, cluster, slot, "/stream/agent") for slot in (1, 2)]
        cluster.expect("@streaming", count=2)
        cluster.signal(signal.SIGHUP)
        cluster.expect_generation(2)
        site.write("enough", "")
        sent = sorted(future.result() for future in sending)
    cluster.expect(r"worker \d gen=1 .* left", count=2)
    assert cluster.get("/ask/agent").json() == "asked"
    got = [entry for entry in kept(site, "agent") if entry[0] != "goodbye"]
    by_sender = {tag: [number for sender, number, _ in got if sender == tag] for tag, *_ in got}
    assert sorted(map(len, by_sender.values())) == sent, "as many as were sent"
    for numbers in by_sender.values():
        assert sorted(numbers) == list(range(len(numbers))), "each once"
    for receiver in {pid for *_, pid in got}:
        for tag in by_sender:
            numbers = [number for sender, number, pid in got if (sender, pid) == (tag, receiver)]
            assert numbers == sorted(numbers), "in order"
    assert len({pid for *_, pid in got}) == 2, "both agents had their part"


def test_numbered_messages_to_a_worker_survive_its_kill_but_for_what_it_had_taken(site: Site, pressing: Pressing) -> None:
    cluster = pressing()
    cluster.expect_ready(count=2)
    with ThreadPoolExecutor(1) as pool:
        sending = pool.submit(via, cluster, 1, "/stream/2")
        cluster.expect("@streaming")
        cluster.output.mark()
        proc.end(cluster.workers()[2])
        cluster.expect_ready(slot=2)
        site.write("enough", "")
        sent = sending.result()
    assert via(cluster, 1, "/ask/2") == "asked"
    numbers = [number for _, number, _ in kept(site, "worker", 2)]
    assert numbers == sorted(set(numbers)), "none twice, all in order"
    missing = sorted(set(range(sent)) - set(numbers))
    assert not missing or missing == list(range(missing[0], missing[-1] + 1)), "what is lost is what the dead one had, in one piece"
    assert len(missing) < 1000


@pytest.mark.parametrize("command", ["kick", "restart_agent"])
def test_ready_is_told_once_to_each_incarnation(pressing: Pressing, command: str) -> None:
    cluster = pressing()
    cluster.expect_ready(count=2)
    cluster.call(command, **({"slot": 1} if command == "kick" else {}))
    cluster.call("reload")
    cluster.stop()
    told = [match[1] for match in cluster.output.found(r"^@ready .*pid=(\d+)", everywhere=True)]
    assert len(told) == len(set(told)) == 7
