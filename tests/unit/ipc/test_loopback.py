from __future__ import annotations

import asyncio
import gc
import os
import threading
from typing import Any

import pytest

from tamago.ipc.bodies import NotSendableError
from tamago.ipc.channel import QueueFullError
from tamago.ipc.loopback import NoEventLoopError
from tamago.ipc.messenger import Messenger
from tamago.ipc.requests import NoHandlerError, ReceiverGoneError, RemoteError, RequestTimeoutError
from tamago.ipc.wire import MAX_BODY, FrameTooLargeError
from tamago.types import Group, Pid, Role, Slot


@pytest.mark.anyio
async def test_one_process_is_both_the_agent_and_worker_one() -> None:
    messenger = Messenger()
    seen: list[Any] = []
    messenger.on("a", seen.append)
    messenger.send_to_app("a", "app")
    messenger.send_to_agent("a", "agent")
    messenger.send_random("a", "random")
    messenger.send_to(Slot(1), "a", "slot")
    messenger.send_to(Pid(os.getpid()), "a", "pid")
    messenger.broadcast("a", "all")
    assert seen == []  # like a real one, never before the sender goes on
    await messenger.drain()
    assert seen == ["app", "agent", "random", "slot", "pid", "all"]
    assert {(peer.role, peer.slot, peer.pid) for peer in messenger.peers} == {(Role.AGENT, 0, os.getpid()), (Role.WORKER, 1, os.getpid())}


@pytest.mark.anyio
async def test_what_arrives_has_been_through_msgpack() -> None:
    messenger = Messenger()
    seen: list[Any] = []
    messenger.on("a", seen.append)
    data = {"pair": (1, 2), "bytes": b"\xff"}
    messenger.send_to_app("a", data)
    await messenger.drain()
    assert seen == [{"pair": [1, 2], "bytes": b"\xff"}]
    assert seen[0] is not data


@pytest.mark.anyio
async def test_what_does_not_travel_fails_here_too() -> None:
    messenger = Messenger()
    with pytest.raises(NotSendableError):
        messenger.send_to_app("a", object())
    with pytest.raises(FrameTooLargeError):
        messenger.send_to_app("a", bytes(MAX_BODY))
    for _ in range(4):
        messenger.send_to_app("a", bytes(MAX_BODY - 100))
    with pytest.raises(QueueFullError):
        messenger.send_to_app("a", bytes(MAX_BODY - 100))


@pytest.mark.anyio
async def test_requests_end_as_through_a_master() -> None:
    messenger = Messenger()

    async def double(number: int) -> int:
        await asyncio.sleep(0)
        return 2 * number

    messenger.on("double", double)
    messenger.on("fail", lambda data: 1 / data)
    messenger.on("hang", lambda data: asyncio.get_running_loop().create_future())
    assert await messenger.request(Group.AGENT, "double", 21) == 42
    with pytest.raises(RemoteError, match="ZeroDivisionError"):
        await messenger.request(Group.AGENT, "fail", 0)
    with pytest.raises(NoHandlerError):
        await messenger.request(Slot(1), "nothing")
    with pytest.raises(ReceiverGoneError, match="no slot 2"):
        await messenger.request(Slot(2), "double", 1)
    with pytest.raises(ReceiverGoneError, match="pid 1"):
        await messenger.request(Pid(1), "double", 1)
    with pytest.raises(RequestTimeoutError):
        await messenger.request(Group.RANDOM, "hang", timeout=0.001)
    for task in tuple(messenger._running):
        task.cancel()
    await messenger.finish()


@pytest.mark.anyio
async def test_a_message_to_nobody_is_told(caplog: pytest.LogCaptureFixture) -> None:
    messenger = Messenger()
    told: list[tuple[str, int]] = []
    messenger.on_undelivered(lambda reason, count: told.append((reason, count)))
    messenger.send_to(Slot(9), "a")
    await messenger.drain()
    assert told == [("there is no slot 9", 1)]
    assert "there is no slot 9" in caplog.text


def test_a_send_where_no_loop_runs_is_a_clear_error() -> None:
    with pytest.raises(NoEventLoopError, match="no event loop runs"):
        Messenger().send_to_app("a")


@pytest.mark.anyio
async def test_a_thread_may_send_once_a_loop_has_used_the_messenger() -> None:
    messenger, arrived = Messenger(), asyncio.Event()
    messenger.on("a", lambda data: arrived.set())
    await messenger.drain()
    thread = threading.Thread(target=messenger.send_to_app, args=("a",))
    thread.start()
    await arrived.wait()
    thread.join()


@pytest.mark.anyio
async def test_a_second_loop_in_another_thread_may_ask_and_drain() -> None:
    messenger = Messenger()
    messenger.on("where", lambda data: threading.get_ident())
    await messenger.drain()

    async def ask() -> object:
        await messenger.drain()
        return await messenger.request(Group.AGENT, "where")

    assert await asyncio.to_thread(lambda: asyncio.run(ask())) == threading.get_ident()


def test_each_loop_begins_with_an_empty_queue() -> None:
    messenger = Messenger()
    seen: list[Any] = []
    messenger.on("a", seen.append)

    async def send_and_leave(data: int, *, wait: bool) -> None:
        messenger.send_to_app("a", data)
        if wait:
            await messenger.drain()

    asyncio.run(send_and_leave(1, wait=True))
    asyncio.run(send_and_leave(2, wait=True))
    assert seen == [1, 2]
    gc.collect()


@pytest.mark.anyio
async def test_what_a_handler_sends_is_delivered_before_drain_returns() -> None:
    messenger = Messenger()
    seen: list[Any] = []
    messenger.on("ping", lambda data: messenger.send_to_app("pong", data))
    messenger.on("pong", seen.append)
    messenger.send_to_app("ping", 1)
    await messenger.drain()
    assert seen == [1]
