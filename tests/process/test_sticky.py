"""Sticky sessions of a real cluster: the same address, the same slot, whatever happens to the worker in it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from ipaddress import ip_address

import pytest
from tests.process import proc
from tests.process.harness import Cluster, Start
from tests.process.http_client import Connection, get
from tests.process.load import Load
from tests.process.privilege import needs_root
from tests.process.site import Site

from tamago.cluster.sticky import slot_index

SLOTS = 4
SOURCES = [f"127.{number % 3}.{number % 7}.{number}" for number in range(10, 210)]
CRITICAL = 16.27
"""Chi-square with 3 degrees of freedom: one in a thousand perfect hashes is less even."""


def slots_of(cluster: Cluster, sources: list[str]) -> dict[str, int]:
    return {source: get(cluster.place, "/who", source=source).json()["slot"] for source in sources}


def chi_square(slots: Mapping[str, int]) -> float:
    counts, fair = Counter(slots.values()), len(slots) / SLOTS
    return sum((counts[slot] - fair) ** 2 / fair for slot in range(1, SLOTS + 1))


def test_a_client_address_keeps_its_slot_over_restart_reload_and_scaling(start: Start) -> None:
    cluster = start("--sticky", "--linger", "0", workers=SLOTS)
    cluster.expect_ready(count=SLOTS)
    before = slots_of(cluster, SOURCES)
    assert chi_square(before) < CRITICAL, Counter(before.values())
    cluster.output.mark()
    proc.end(cluster.workers()[2])
    cluster.expect_ready(slot=2)
    some = SOURCES[:60]
    assert slots_of(cluster, some) == {source: before[source] for source in some}
    cluster.signal(signal.SIGHUP)
    cluster.expect_generation(2)
    assert slots_of(cluster, SOURCES) == before
    cluster.call("scale", workers=3)
    assert slots_of(cluster, some) == {source: before[source] % 4 or 1 for source in some}, "1 is next to 4"
    cluster.output.mark()
    cluster.call("scale", workers=4)
    cluster.expect("every slot serves its own clients")
    assert slots_of(cluster, SOURCES) == before
    refused = cluster.cli("scale", "5")
    assert refused.returncode == 1
    assert "a sticky cluster that was started with 4 slots cannot have 5" in refused.stderr


def test_ipv4_clients_of_a_listener_for_both_families_spread_evenly_over_their_slots(start: Start) -> None:
    cluster = start("--sticky", "--linger", "0", "--bind", "[::]:0", port=None, workers=SLOTS)

    def slots() -> dict[str, int]:
        return {source: get(("127.0.0.1", cluster.port), "/who", source=source).json()["slot"] for source in SOURCES}

    before = slots()
    # The worker sees ::ffff:127.0.0.10, the program the packet before it, which is of IPv4.
    assert before == {source: slot_index(ip_address(source).packed, SLOTS) + 1 for source in SOURCES}
    assert chi_square(before) < CRITICAL, Counter(before.values())
    assert get(("::1", cluster.port), "/who").json()["slot"] == slot_index(ip_address("::1").packed, SLOTS) + 1
    cluster.signal(signal.SIGHUP)
    cluster.expect_generation(2)
    assert slots() == before


def source_for(cluster: Cluster, slot: int) -> str:
    return next(source for source in SOURCES if get(cluster.place, "/who", source=source).json()["slot"] == slot)


def test_who_waits_for_a_worker_that_is_killed_is_served_by_the_next_one_in_its_slot(start: Start) -> None:
    cluster = start("--sticky", "--linger", "0")
    source = source_for(cluster, 2)
    with Connection(cluster.place, source=source) as blocking:
        blocking.send("/block/60")
        cluster.expect("@blocking")
        waiting = [Connection(cluster.place, source=source) for _ in range(20)]
        for connection in waiting:
            connection.send("/who")
        killed = cluster.workers()[2]
        proc.end(killed)
        answers = [connection.receive().json() for connection in waiting]
        assert {answer["slot"] for answer in answers} == {2}
        assert killed not in {answer["pid"] for answer in answers}
        for connection in waiting:
            connection.close()


def test_a_slot_that_stays_empty_is_served_by_a_neighbour_until_it_is_filled(site: Site, start: Start) -> None:
    started = 'if message["type"] == "lifespan.startup":'
    held = f"{started}\n            if Path('gate').exists():\n                __import__('report').hold('gate')"
    site.write("main.py", (site.app / "main.py").read_text().replace(started, held))
    cluster = start("--sticky", "--linger", "0")
    source = source_for(cluster, 2)
    gate = site.gate("gate")
    proc.end(cluster.workers()[2])
    with Connection(cluster.place, source=source) as waiting:
        waiting.send("/who")
        cluster.expect("neighbours serve the clients of the empty slots: 2$")
        assert slots_of(cluster, [source]) == {source: 1}
        gate.open()
        assert waiting.receive().json()["slot"] == 2, "it was in the queue of slot 2 already"
    cluster.expect("every slot serves its own clients")
    assert slots_of(cluster, [source]) == {source: 2}


def test_a_sticky_restart_loses_no_connection(start: Start) -> None:
    cluster = start("--sticky", workers=2)
    with Load(cluster.place, keep_alive=4, fresh=8) as load:
        load.wait_answered(50)
        for slot in (1, 2):
            cluster.call("kick", slot=slot)
        load.wait_answered(50)
        cluster.call("scale", workers=1)
        load.wait_answered(50)
    load.assert_none_lost()


def test_a_reload_cannot_give_a_sticky_cluster_more_slots(site: Site, start: Start) -> None:
    settings = site.write("tamago.toml", "workers = 2")
    cluster = start("--sticky", workers=None)
    settings.write_text("workers = 3")
    result = cluster.cli("reload")
    assert result.returncode == 1
    assert "a sticky cluster that was started with 2 slots cannot have 3" in result.stderr
    assert cluster.get().text == "hello"


_ASK_FROM_ALL = """
import http.client, json, socket, sys
found = {}
for number in range(1, 201):
    source = f"fd00:7::{number:x}"
    with socket.socket(socket.AF_INET6) as sock:
        sock.setsockopt(socket.IPPROTO_IPV6, 78, 1)  # IPV6_FREEBIND
        sock.bind((source, 0))
        sock.connect(("::1", int(sys.argv[1])))
        sock.sendall(b"GET /who HTTP/1.1\\r\\nHost: test\\r\\nConnection: close\\r\\n\\r\\n")
        answer = http.client.HTTPResponse(sock)
        answer.begin()
        found[source] = json.loads(answer.read())["slot"]
print(json.dumps(found))
"""


@needs_root
def test_ipv6_addresses_keep_their_slots_too(site: Site, start: Start) -> None:
    namespace = 'ip link set lo up && ip -6 route add local fd00:7::/64 dev lo && exec "$@"'
    if subprocess.run(["unshare", "--net", "sh", "-c", namespace, "sh", "true"], check=False).returncode:
        pytest.skip("this machine does not let us make a network namespace with IPv6")
    cluster = start(
        "--sticky", "--linger", "0", "--bind", "[::1]:0", port=None, workers=SLOTS, prefix=("unshare", "--net", "sh", "-c", namespace, "sh")
    )
    cluster.expect_ready(count=SLOTS)

    def slots() -> dict[str, int]:
        command = ["nsenter", "--target", str(cluster.pid), "--net", sys.executable, "-c", _ASK_FROM_ALL, str(cluster.port)]
        found: dict[str, int] = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
        return found

    before = slots()
    assert chi_square(before) < CRITICAL, Counter(before.values())
    cluster.output.mark()
    proc.end(cluster.workers()[2])
    cluster.expect_ready(slot=2)
    assert slots() == before
    cluster.signal(signal.SIGHUP)
    cluster.expect_generation(2)
    assert slots() == before
    cluster.call("scale", workers=3)
    assert slots() == {source: slot % SLOTS or 1 for source, slot in before.items()}
    cluster.output.mark()
    cluster.call("scale", workers=4)
    cluster.expect("every slot serves its own clients")
    assert slots() == before


def test_where_the_kernel_has_no_such_programs_the_start_says_so(site: Site) -> None:
    # A number that the kernel does not know, in the place of the one it would know.
    site.write("sitecustomize.py", "import tamago.cluster.sticky as sticky\nsticky.SO_ATTACH_REUSEPORT_CBPF = 9999\n")
    result = site.run("start", "--app", "main:app", "--port", "0", "--sticky", PYTHONPATH=str(site.app))
    assert result.returncode == 1
    *_, problem, hint = result.stderr.strip().splitlines()
    assert "--sticky is not possible: the kernel refused the program that picks the worker (Protocol not available)" in problem
    assert hint == "start without --sticky, or keep sessions outside of the workers"
