from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import Coroutine
from typing import Any

import pytest

from tamago.ipc import bodies, wire
from tamago.ipc.bodies import ErrorBody
from tamago.ipc.messenger import Messenger
from tamago.ipc.requests import ReceiverGoneError, RemoteError
from tamago.ipc.transport import Receiver
from tamago.ipc.wire import Kind, Route
from tamago.types import Group, Peer, Slot

pytestmark = pytest.mark.anyio


class Recorder:
    """A transport that keeps what is sent and delivers what it is told."""

    def __init__(self) -> None:
        self.sent: list[tuple[int, int, int, int, int, bytes]] = []
        self.peers: tuple[Peer, ...] = ()
        self.loop = asyncio.get_running_loop()
        self.flushed = 0

    def bind(self, receiver: Receiver) -> None:
        self.receiver = receiver

    def send(self, kind: int, route: int, slot: int, to: int, seq: int, body: bytes, /) -> None:
        self.sent.append((kind, route, slot, to, seq, body))

    def drain(self) -> Coroutine[Any, Any, None]:
        return asyncio.sleep(0)

    async def flush(self) -> None:
        self.flushed += 1

    def deliver(self, kind: int, body: bytes, *, seq: int = 0, sender: int = 3) -> None:
        self.receiver.receive(wire.split(wire.pack(kind, Route.APP, body, seq=seq, sender=sender)), lambda body: None)

    def message(self, action: str, data: object = None) -> None:
        self.deliver(Kind.MESSAGE, bodies.encode_message(action, data))

    def request(self, action: str, data: object = None, *, seq: int = 9) -> None:
        self.deliver(Kind.REQUEST, bodies.encode_message(action, data), seq=seq)


def connected() -> tuple[Messenger, Recorder]:
    transport = Recorder()
    return Messenger(transport), transport


async def test_each_way_to_send_has_its_route() -> None:
    messenger, transport = connected()
    messenger.send_to_app("a", 1)
    messenger.send_to_agent("a", 1)
    messenger.send_random("a", 1)
    messenger.broadcast("a", 1)
    messenger.send_to(Slot(4), "a", 1)
    body = bodies.encode_message("a", 1)
    assert transport.sent == [
        (Kind.MESSAGE, Route.APP, 0, 0, 0, body),
        (Kind.MESSAGE, Route.AGENT, 0, 0, 0, body),
        (Kind.MESSAGE, Route.RANDOM, 0, 0, 0, body),
        (Kind.MESSAGE, Route.ALL, 0, 0, 0, body),
        (Kind.MESSAGE, Route.SLOT, 4, 0, 0, body),
    ]


async def test_handlers_run_in_the_order_they_came_and_a_failing_one_stops_no_other(caplog: pytest.LogCaptureFixture) -> None:
    messenger, transport = connected()
    seen: list[object] = []
    messenger.on("a", lambda data: seen.append(("first", data)))
    messenger.on("a", lambda data: 1 / 0)
    messenger.on("a", lambda data: seen.append(("third", data)))
    transport.message("a", 5)
    assert seen == [("first", 5), ("third", 5)]
    assert "the handler of 'a' failed" in caplog.text
    assert "ZeroDivisionError" in caplog.text


async def test_on_works_as_a_decorator_and_off_and_unsubscribe_take_back() -> None:
    messenger, transport = connected()
    seen: list[object] = []

    @messenger.on("a")
    def first(data: object) -> None:
        seen.append(("first", data))

    unsubscribe = messenger.on("a", lambda data: seen.append(("second", data)))
    transport.message("a", 1)
    messenger.off("a", first)
    transport.message("a", 2)
    unsubscribe()
    unsubscribe()
    transport.message("a", 3)
    messenger.on("a", first)
    messenger.off("a")
    transport.message("a", 4)
    assert seen == [("first", 1), ("second", 1), ("second", 2)]


async def test_once_is_once_though_the_handler_sends_again() -> None:
    messenger, transport = connected()
    seen: list[object] = []

    def handler(data: object) -> None:
        seen.append(data)
        transport.message("a", 2)

    messenger.once("a", handler)
    forget = messenger.once("b", seen.append)
    forget()
    transport.message("a", 1)
    transport.message("b", 1)
    assert seen == [1]


async def test_an_async_handler_runs_as_a_task_that_nothing_collects_and_its_failure_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    messenger, transport = connected()
    gate = asyncio.Event()
    seen: list[object] = []

    @messenger.on("a")
    async def handler(data: object) -> None:
        await gate.wait()
        seen.append(data)
        raise KeyError(data)

    transport.message("a", 1)
    transport.message("a", 2)
    await asyncio.sleep(0)
    gc.collect()
    gate.set()
    await messenger.finish()
    assert seen == [1, 2]
    assert caplog.text.count("the handler of 'a' failed") == 2
    assert transport.flushed == 1


async def test_finish_waits_for_tasks_that_tasks_started() -> None:
    messenger, transport = connected()
    seen: list[object] = []

    @messenger.on("a")
    async def handler(data: int) -> None:
        await asyncio.sleep(0)
        seen.append(data)
        if data < 3:
            transport.message("a", data + 1)

    transport.message("a", 1)
    await messenger.finish()
    assert seen == [1, 2, 3]


@pytest.mark.parametrize("body", [b"", b"\xff\xff", b"\x92\x01\x02", b"\x91" * 5000 + b"\xc0"], ids=["empty", "noise", "no action", "deep"])
async def test_a_malformed_message_is_dropped_and_the_next_one_arrives(body: bytes, caplog: pytest.LogCaptureFixture) -> None:
    messenger, transport = connected()
    seen: list[object] = []
    messenger.on("a", seen.append)
    transport.deliver(Kind.MESSAGE, body)
    transport.message("a", 1)
    assert seen == [1]
    assert "dropped a message from peer 3" in caplog.text


# ── answering ────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_the_first_handler_answers_and_the_others_only_hear() -> None:
    messenger, transport = connected()
    seen: list[object] = []
    messenger.on("a", lambda data: data + 1)
    messenger.on("a", seen.append)
    transport.request("a", 41)
    assert transport.sent == [(Kind.REPLY, Route.PEER, 0, 3, 9, bodies.encode_reply(42))]
    assert seen == [41]


async def test_an_async_handler_answers_when_it_is_done() -> None:
    messenger, transport = connected()

    @messenger.on("a")
    async def handler(data: int) -> int:
        await asyncio.sleep(0)
        return data + 1

    transport.request("a", 41)
    assert transport.sent == []
    await messenger.finish()
    assert transport.sent == [(Kind.REPLY, Route.PEER, 0, 3, 9, bodies.encode_reply(42))]


async def sent_error(transport: Recorder) -> ErrorBody:
    [(kind, route, _, to, seq, body)] = transport.sent
    assert (kind, route, to, seq) == (Kind.ERROR, Route.PEER, 3, 9)
    return bodies.decode_error(body)


async def test_a_handler_that_raises_answers_with_its_traceback_and_not_with_ours(caplog: pytest.LogCaptureFixture) -> None:
    messenger, transport = connected()

    def price_of(data: str) -> None:
        raise LookupError(f"no price for {data}")

    messenger.on("a", price_of)
    transport.request("a", "tea")
    error = await sent_error(transport)
    assert (error.type, error.message) == ("LookupError", "no price for tea")
    assert "in price_of" in error.traceback
    assert "/ipc/messenger.py" not in error.traceback
    assert "the handler of 'a' failed" in caplog.text


async def test_an_async_handler_that_raises_answers_too() -> None:
    messenger, transport = connected()

    @messenger.on("a")
    async def handler(data: object) -> None:
        raise LookupError("no")

    transport.request("a")
    await messenger.finish()
    assert (await sent_error(transport)).type == "LookupError"


async def test_a_cancelled_handler_answers_too() -> None:
    messenger, transport = connected()
    messenger.on("a", lambda data: asyncio.get_running_loop().create_future())
    transport.request("a")
    await asyncio.sleep(0)
    for task in tuple(messenger._running):
        task.cancel()
    await messenger.finish()
    assert (await sent_error(transport)).type == "CancelledError"


async def test_an_answer_that_does_not_travel_is_an_error_at_the_requester() -> None:
    messenger, transport = connected()
    messenger.on("a", lambda data: object())
    transport.request("a")
    assert (await sent_error(transport)).type == "NotSendableError"


async def test_a_request_nobody_listens_to_is_answered_so() -> None:
    _, transport = connected()
    transport.request("a")
    assert (await sent_error(transport)).type == ""


async def test_a_malformed_request_is_answered_with_an_error() -> None:
    _, transport = connected()
    transport.deliver(Kind.REQUEST, b"\xc1", seq=9)
    assert (await sent_error(transport)).type == "MalformedFrameError"


# ── asking ───────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_reply_ends_the_request_and_leaves_nothing_behind() -> None:
    messenger, transport = connected()
    asking = asyncio.create_task(messenger.request(Group.AGENT, "get", "x"))
    await asyncio.sleep(0)
    [(kind, route, _, _, seq, body)] = transport.sent
    assert (kind, route, body) == (Kind.REQUEST, Route.AGENT, bodies.encode_message("get", "x"))
    transport.deliver(Kind.REPLY, bodies.encode_reply("y"), seq=seq)
    transport.deliver(Kind.REPLY, bodies.encode_reply("too late"), seq=seq)
    assert await asking == "y"
    assert len(messenger._requests) == 0


async def test_a_cancelled_request_leaves_nothing_behind() -> None:
    messenger, _ = connected()
    asking = asyncio.create_task(messenger.request(Group.AGENT, "get"))
    await asyncio.sleep(0)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert len(messenger._requests) == 0


@pytest.mark.parametrize("kind", [Kind.REPLY, Kind.ERROR])
async def test_a_malformed_answer_ends_the_request(kind: Kind) -> None:
    messenger, transport = connected()
    asking = asyncio.create_task(messenger.request(Group.AGENT, "get"))
    await asyncio.sleep(0)
    transport.deliver(kind, b"\xc1", seq=transport.sent[0][4])
    with pytest.raises(RemoteError, match="MalformedFrameError"):
        await asking


async def test_an_undelivered_request_ends_and_an_undelivered_message_is_logged_once_a_second(caplog: pytest.LogCaptureFixture) -> None:
    messenger, transport = connected()
    told: list[tuple[str, int]] = []
    messenger.on_undelivered(lambda reason, count: 1 / 0)
    messenger.on_undelivered(lambda reason, count: told.append((reason, count)))
    asking = asyncio.create_task(messenger.request(Group.AGENT, "get"))
    await asyncio.sleep(0)
    transport.receiver.undelivered(transport.sent[0][4], "the agent died", 1)
    with pytest.raises(ReceiverGoneError, match="the agent died"):
        await asking
    for _ in range(3):
        transport.receiver.undelivered(0, "full", 7)
    assert told == [("full", 7)] * 3
    assert caplog.text.count("could not be delivered") == 1


async def test_when_the_master_is_gone_requests_end() -> None:
    messenger, transport = connected()
    asking = asyncio.create_task(messenger.request(Group.AGENT, "get"))
    await asyncio.sleep(0)
    transport.receiver.disconnected(ConnectionError("gone"))
    with pytest.raises(ConnectionError, match="gone"):
        await asking


async def test_control_bodies_go_to_the_transport_in_order_with_messages() -> None:
    messenger, _ = connected()
    seen: list[object] = []
    messenger.on("a", seen.append)
    data = wire.pack(1, 2, bodies.encode_message("a", 1)) + wire.pack(5, 0, b"control") + wire.pack(1, 2, bodies.encode_message("a", 2))
    messenger.receive(wire.split(data), lambda body: seen.append(bytes(body)))
    assert seen == [1, b"control", 2]


class Mute(Exception):  # noqa: N818 - what an application may come up with
    def __str__(self) -> str:
        raise LookupError


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ValueError("no file \udcff"), r"no file \udcff"),
        (Mute(), "<its str() failed: LookupError>"),
        (ValueError("x" * (17 << 20)), "x" * (64 << 10)),
    ],
    ids=["half a character", "no message", "more than a frame"],
)
async def test_whatever_a_handler_raises_who_asked_is_told(error: Exception, said: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL, "tamago.ipc.messenger")  # pytest itself cannot carry half a character from process to process
    messenger, transport = connected()

    def fail(_data: object) -> None:
        raise error

    messenger.on("fail", fail)
    transport.request("fail")
    kind, *_, body = transport.sent[-1]
    assert kind == Kind.ERROR
    assert bodies.decode_error(body).message == said
