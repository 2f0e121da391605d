from __future__ import annotations

import asyncio
import socket

import msgspec
import pytest

from tamago.ipc import bodies, wire
from tamago.ipc.channel import ChannelClosedError
from tamago.ipc.channel_transport import ChannelTransport
from tamago.ipc.control_messages import Booted, Drain, Peers, Ready, ToChild, Undelivered
from tamago.ipc.messenger import Messenger
from tamago.ipc.requests import ReceiverGoneError
from tamago.ipc.wire import Kind, Route
from tamago.types import Group, Peer, Role

pytestmark = pytest.mark.anyio
Pair = tuple[socket.socket, socket.socket]


class Child:
    """A messenger on a channel, and what the process around it is told."""

    def __init__(self, sock: socket.socket) -> None:
        self.told: asyncio.Queue[ToChild] = asyncio.Queue()
        self.ended = asyncio.Event()
        self.transport = ChannelTransport(
            sock, peer=4, loop=asyncio.get_running_loop(), on_control=self.told.put_nowait, on_eof=self.ended.set
        )
        self.messenger = Messenger(self.transport)


def control(message: msgspec.Struct) -> bytes:
    return wire.pack(Kind.CONTROL, Route.MASTER, msgspec.msgpack.encode(message))


async def test_control_messages_go_to_the_process_and_peers_to_the_messenger(pair: Pair) -> None:
    child = Child(pair[0])
    pair[1].send(control(Peers(peers=[("worker", 2, 3, 4711, 9)])) + control(Ready()) + control(Drain(closing=True)))
    assert [await child.told.get(), await child.told.get()] == [Ready(), Drain(closing=True)]
    assert child.messenger.peers == (Peer(role=Role.WORKER, slot=2, generation=3, pid=4711),)
    child.transport.close()


async def test_a_control_message_of_another_version_is_logged_and_the_next_one_heard(pair: Pair, caplog: pytest.LogCaptureFixture) -> None:
    child = Child(pair[0])
    pair[1].send(wire.pack(Kind.CONTROL, Route.MASTER, b"\x81\xa4type\xa6Future") + control(Ready()))
    assert await child.told.get() == Ready()
    assert "does not know" in caplog.text
    child.transport.close()


async def test_undelivered_ends_the_request_it_names(pair: Pair) -> None:
    child = Child(pair[0])
    asking = asyncio.create_task(child.messenger.request(Group.AGENT, "get"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    [frame] = wire.split(pair[1].recv(1000))
    assert frame[4] == 4
    pair[1].send(control(Undelivered(request=frame[5], reason="the agent died")))
    with pytest.raises(ReceiverGoneError):
        await asking
    child.transport.close()


async def test_the_process_speaks_of_itself_in_control_frames(pair: Pair) -> None:
    child = Child(pair[0])
    child.transport.send_control(Booted(phases=[("import", 0.5)]))
    await child.transport.flush()
    [(kind, route, _, _, sender, _, body)] = wire.split(pair[1].recv(1000))
    assert (kind, route, sender) == (Kind.CONTROL, Route.MASTER, 4)
    assert msgspec.msgpack.decode(body, type=Booted) == Booted(phases=[("import", 0.5)])
    child.transport.close()


async def test_nothing_is_read_before_a_messenger_is_there_to_hear_it(pair: Pair) -> None:
    pair[1].send(wire.pack(Kind.MESSAGE, Route.APP, bodies.encode_message("early", 1)))
    transport = ChannelTransport(pair[0], peer=4, loop=asyncio.get_running_loop(), on_control=lambda message: None, on_eof=lambda: None)
    for _ in range(5):
        await asyncio.sleep(0)
    heard: asyncio.Queue[object] = asyncio.Queue()
    messenger = Messenger()
    messenger.on("early", heard.put_nowait)
    messenger.connect(transport)
    assert await heard.get() == 1
    transport.close()


async def test_when_the_master_dies_requests_end_sends_are_refused_and_the_process_is_told(pair: Pair) -> None:
    child = Child(pair[0])
    asking = asyncio.create_task(child.messenger.request(Group.AGENT, "get"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    pair[1].close()
    with pytest.raises(ChannelClosedError):
        await asking
    await child.ended.wait()
    with pytest.raises(ChannelClosedError):
        child.messenger.send_to_app("a")
