"""The relay over real sockets, with the master and its children on one event loop."""

from __future__ import annotations

import asyncio
import resource
import socket
from typing import Any, Self

import pytest

from tamago.cluster import pace
from tamago.cluster.relay import Relay
from tamago.ipc.channel_transport import ChannelTransport
from tamago.ipc.control_messages import Drain, FromChild, ToChild
from tamago.ipc.master_channel import MasterChannel
from tamago.ipc.messenger import Messenger
from tamago.ipc.requests import ReceiverGoneError, RemoteError
from tamago.ipc.wire import HEADER, MAX_BODY, Kind, Route
from tamago.types import Group, Role, Slot

pytestmark = pytest.mark.anyio


@pytest.fixture(params=[True, False], ids=["uvloop", "asyncio"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    return "asyncio", {"use_uvloop": request.param}


class Child:
    """One process: the master's end of its channel and its own messenger."""

    def __init__(self, cluster: Cluster, role: Role, slot: int) -> None:
        cluster.peers += 1
        self.peer = cluster.peers
        ours, self.sock = socket.socketpair()
        loop = asyncio.get_running_loop()
        self.channel = MasterChannel(ours, loop=loop)
        cluster.relay.attach(self.peer, role, slot, 1, 1000 + self.peer, self.channel)
        self.told: asyncio.Queue[ToChild] = asyncio.Queue()
        self.transport = ChannelTransport(self.sock, peer=self.peer, loop=loop, on_control=self.told.put_nowait, on_eof=lambda: None)
        self.messenger = Messenger(self.transport)
        cluster.children.append(self)


class Cluster:
    """A relay and its children, all closed at the end."""

    def __init__(self) -> None:
        self.peers = 0
        self.children: list[Child] = []
        self.hostile: list[str] = []
        self.closed: asyncio.Queue[int] = asyncio.Queue()
        self.relay = Relay(
            on_control=self._control, on_hostile=lambda _, reason: self.hostile.append(reason), on_closed=self.closed.put_nowait
        )
        self.relay.set_slots(2)

    def _control(self, peer: int, message: FromChild) -> None: ...

    def boot(self, role: Role, slot: int = 0) -> Child:
        child = Child(self, role, slot)
        self.relay.activate(child.peer)
        return child

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for child in self.children:
            child.transport.close()
            self.relay.detach(child.peer)


def heard(child: Child, action: str) -> asyncio.Queue[Any]:
    queue: asyncio.Queue[Any] = asyncio.Queue()
    child.messenger.on(action, queue.put_nowait)
    return queue


async def test_a_request_travels_to_the_agent_and_its_answer_back() -> None:
    async with Cluster() as cluster:
        agent, one = cluster.boot(Role.AGENT), cluster.boot(Role.WORKER, 1)
        agent.messenger.on("double", lambda number: 2 * number)
        assert await one.messenger.request(Group.AGENT, "double", 21) == 42
        agent.messenger.on("fail", lambda number: number / 0)
        with pytest.raises(RemoteError, match="ZeroDivisionError"):
            await one.messenger.request(Group.AGENT, "fail", 1)


async def test_the_largest_message_arrives_between_small_ones() -> None:
    async with Cluster() as cluster:
        agent, one = cluster.boot(Role.AGENT), cluster.boot(Role.WORKER, 1)
        sizes = heard(agent, "a")
        for size in (1, MAX_BODY - 100, 2):
            one.messenger.send_to_agent("a", bytes(size))
        assert [len(await sizes.get()) for _ in range(3)] == [1, MAX_BODY - 100, 2]


async def test_a_graceful_replacement_of_the_agent_loses_and_doubles_nothing() -> None:
    async with Cluster() as cluster:
        one = cluster.boot(Role.WORKER, 1)
        old = cluster.boot(Role.AGENT)
        seen: list[int] = []
        old.messenger.on("a", seen.append)
        for number in range(3000):
            one.messenger.send_to_agent("a", number)
            if number == 1000:
                # The kernel holds a part, the master another; the worker goes on sending.
                await asyncio.sleep(0)
                cluster.relay.deactivate(old.peer)
                old.channel.send(Drain(closing=False))
        assert await old.told.get() == Drain(closing=False)
        old_saw = len(seen)
        await one.messenger.drain()
        await old.messenger.finish()
        old.transport.close()
        assert await cluster.closed.get() == old.peer
        cluster.relay.detach(old.peer)
        new = cluster.boot(Role.AGENT)
        rest = heard(new, "a")
        seen += [await rest.get() for _ in range(3000 - len(seen))]
        assert rest.empty()
        assert seen == list(range(3000))
        assert 0 <= old_saw < 3000


async def test_a_receiver_that_dies_ends_its_requests_at_once() -> None:
    async with Cluster() as cluster:
        one, two = cluster.boot(Role.WORKER, 1), cluster.boot(Role.WORKER, 2)
        got = heard(two, "hang")
        two.messenger.on("hang", lambda _: None)
        asking = asyncio.create_task(one.messenger.request(Slot(2), "never", timeout=60))
        two.messenger.on("never", lambda _: asyncio.get_running_loop().create_future())
        one.messenger.send_to(Slot(2), "hang")
        await got.get()
        two.transport.close()
        assert await cluster.closed.get() == two.peer
        cluster.relay.detach(two.peer)
        with pytest.raises(ReceiverGoneError, match="worker 2 died before it answered"):
            await asking
        for task in tuple(two.messenger._running):
            task.cancel()
        await asyncio.gather(*two.messenger._running, return_exceptions=True)


async def test_a_flood_to_a_stopped_reader_slows_its_sender_and_not_the_masters_memory() -> None:
    async with Cluster() as cluster:
        agent, one = cluster.boot(Role.AGENT), cluster.boot(Role.WORKER, 1)
        other = cluster.boot(Role.WORKER, 2)
        asyncio.get_running_loop().remove_reader(agent.sock.fileno())  # it stops reading, as if stopped by a signal
        seen = heard(agent, "a")
        hello = heard(one, "hello")
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        data, count, highest = bytes(10_000), 0, 0

        async def flood() -> None:
            nonlocal count
            while count < 2000:
                one.messenger.send_to_agent("a", data)
                count += 1
                await one.messenger.drain()

        flooding = asyncio.create_task(flood())
        for _ in range(500):
            await asyncio.sleep(0)
            highest = max(highest, agent.channel.queued_bytes)
        assert not flooding.done()
        assert pace.HIGH_WATER < highest < pace.HIGH_WATER + 2 * 256 * 1024
        # Others are not held up, and the one that waits can still be reached.
        other.messenger.send_to(Slot(1), "hello", 1)
        assert await hello.get() == 1
        agent.channel._loop.add_reader(agent.sock.fileno(), agent.transport.channel._readable)
        await flooding
        for _ in range(2000):
            await seen.get()
        assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024 < 32


async def test_a_message_too_large_forced_on_the_wire_is_dropped_and_its_sender_lives_on() -> None:
    async with Cluster() as cluster:
        agent, one = cluster.boot(Role.AGENT), cluster.boot(Role.WORKER, 1)
        seen = heard(agent, "a")
        size = 64 * 1024 * 1024
        out = one.transport.channel._out
        out += HEADER.pack(size, Kind.MESSAGE, Route.AGENT, 0, 0, one.peer, 0)
        out += bytes(size)
        await one.transport.flush()
        one.messenger.send_to_agent("a", "still here")
        assert await seen.get() == "still here"
        assert cluster.hostile == [f"a frame of {size} bytes, over the limit of {MAX_BODY}"]


async def test_two_that_flood_each_other_do_not_stop_each_other() -> None:
    async with Cluster() as cluster:
        one, two = cluster.boot(Role.WORKER, 1), cluster.boot(Role.WORKER, 2)
        counts = {1: 0, 2: 0}

        def count(slot: int) -> None:
            counts[slot] += 1

        one.messenger.on("a", lambda data: count(1))
        two.messenger.on("a", lambda data: count(2))

        async def flood(child: Child) -> None:
            for _ in range(300):
                child.messenger.send_to_app("a", bytes(50_000))
                await child.messenger.drain()
            await child.messenger.finish()

        await asyncio.gather(flood(one), flood(two))
        while counts != {1: 600, 2: 600}:  # noqa: ASYNC110 (two conditions, and the loop is idle otherwise)
            await asyncio.sleep(0)
