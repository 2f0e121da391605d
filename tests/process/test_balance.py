"""How connections are shared out among the workers of a real cluster."""

from __future__ import annotations

import socket
from collections import Counter

import pytest
from tests.process import proc
from tests.process.harness import Cluster, Start
from tests.process.http_client import Connection


def slots_of(connections: list[Connection]) -> Counter[int]:
    for connection in connections:
        connection.send("/who")
    return Counter(connection.receive().json()["slot"] for connection in connections)


def burst(cluster: Cluster, count: int) -> list[Connection]:
    """Begin to open them all before any of them is open."""
    place = cluster.place
    assert not isinstance(place, str)
    connections = []
    for _ in range(count):
        connection = Connection.__new__(Connection)
        connection.socket = socket.socket()
        connection.socket.setblocking(False)
        connection.socket.connect_ex(place)
        connection._buffer = b""
        connections.append(connection)
    for connection in connections:
        connection.socket.setblocking(True)
    return connections


@pytest.mark.parametrize("way", ["at once", "one by one"])
def test_64_connections_that_stay_are_shared_out_evenly_among_4_workers(start: Start, way: str) -> None:
    cluster = start("--linger", "0", workers=4)
    slots: Counter[int] = Counter()
    connections: list[Connection] = []
    if way == "at once":
        connections = burst(cluster, 64)
        slots = slots_of(connections)
    else:
        for _ in range(64):
            connections.append(cluster.connect())
            slots += slots_of(connections[-1:])
    for connection in connections:
        connection.close()
    assert sorted(slots) == [1, 2, 3, 4]
    assert all(12 <= count <= 20 for count in slots.values()), slots


def test_a_blocked_worker_gets_none_of_the_new_connections_and_nobody_waits_for_it(start: Start) -> None:
    cluster = start("--linger", "0", workers=4)
    with cluster.connect() as blocking:
        slot = blocking.get("/who").json()["slot"]
        blocking.send("/block/5")
        cluster.expect("@blocking")
        kept = [cluster.connect() for _ in range(40)]
        assert slot not in slots_of(kept)
        assert slot not in {cluster.who()["slot"] for _ in range(20)}
        for connection in kept:
            connection.close()
        proc.end(cluster.workers()[slot])
