from __future__ import annotations

import asyncio
import os
import socket
import threading

import pytest

from tamago.ipc import wire
from tamago.ipc.channel import HARD_LIMIT, HIGH_WATER, Channel, ChannelClosedError, QueueFullError
from tamago.ipc.wire import FrameTooLargeError

pytestmark = pytest.mark.anyio
Pair = tuple[socket.socket, socket.socket]


class Recorder:
    """A channel and what it said."""

    def __init__(self, sock: socket.socket) -> None:
        self.bodies: list[bytes] = []
        self.ended = asyncio.Event()
        self.arrived = asyncio.Event()
        self.channel = Channel(sock, peer=7, loop=asyncio.get_running_loop(), on_frames=self._frames, on_eof=self.ended.set)
        self.channel.start()

    def _frames(self, frames: list[wire.Frame]) -> None:
        self.bodies += [bytes(frame[6]) for frame in frames]
        self.arrived.set()

    def send(self, body: bytes) -> None:
        self.channel.send(1, 1, 0, 0, 0, body)


async def test_descriptors_that_come_with_frames_are_taken_if_that_was_asked_for(pair: Pair) -> None:
    arrived = asyncio.Event()
    ours, theirs = pair
    theirs.setblocking(True)
    channel = Channel(
        ours, peer=7, loop=asyncio.get_running_loop(), on_frames=lambda _: arrived.set(), on_eof=arrived.set, descriptors=True
    )
    channel.start()
    reader, writer = os.pipe()
    socket.send_fds(theirs, [wire.pack(1, 1, b"take this")], [writer])
    os.close(writer)
    await arrived.wait()
    (taken,) = channel.take_descriptors()
    assert channel.take_descriptors() == []
    os.write(taken, b"!")
    assert os.read(reader, 10) == b"!"
    os.close(taken)
    # What nobody took is closed with the channel: the pipe ends.
    arrived.clear()
    other, writer = os.pipe()
    socket.send_fds(theirs, [wire.pack(1, 1, b"and this")], [writer])
    os.close(writer)
    await arrived.wait()
    channel.close()
    assert os.read(other, 1) == b""
    os.close(reader)
    os.close(other)


def read_all(sock: socket.socket, size: int) -> bytes:
    """Read in another thread, as another process would."""
    sock.setblocking(True)
    data = bytearray()
    while len(data) < size:
        data += sock.recv(min(1 << 20, size - len(data)))
    return bytes(data)


def read_now(sock: socket.socket) -> list[bytes]:
    """Return the bodies of what has been written so far."""
    try:
        return [bytes(frame[6]) for frame in wire.split(sock.recv(1 << 20, socket.MSG_DONTWAIT))]
    except BlockingIOError:
        return []


async def test_the_first_send_of_an_iteration_leaves_at_once_and_those_after_it_as_one_write(pair: Pair) -> None:
    recorder = Recorder(pair[0])
    for body in (b"a", b"b", b"c"):
        recorder.send(body)
    assert recorder.channel.queued == 42
    frames = wire.split(pair[1].recv(1000))
    assert [(frame[4], bytes(frame[6])) for frame in frames] == [(7, b"a")]
    await asyncio.sleep(0)
    assert read_now(pair[1]) == [b"b", b"c"]
    recorder.channel.close()


async def test_sends_one_an_iteration_all_leave_at_once(pair: Pair) -> None:
    recorder = Recorder(pair[0])
    for body in (b"a", b"b", b"c"):
        recorder.send(body)
        assert read_now(pair[1]) == [body]
        await asyncio.sleep(0)
    recorder.channel.close()


async def test_in_a_burst_the_first_send_of_an_iteration_waits_for_the_others_until_one_comes_alone(pair: Pair) -> None:
    recorder = Recorder(pair[0])
    recorder.send(b"a")
    recorder.send(b"b")
    await asyncio.sleep(0)
    assert read_now(pair[1]) == [b"a", b"b"]
    for body in (b"c", b"d", b"e"):
        recorder.send(body)
    assert read_now(pair[1]) == []
    await asyncio.sleep(0)
    assert read_now(pair[1]) == [b"c", b"d", b"e"]
    recorder.send(b"alone")
    assert read_now(pair[1]) == []
    await asyncio.sleep(0)
    assert read_now(pair[1]) == [b"alone"]
    recorder.send(b"at once")
    assert read_now(pair[1]) == [b"at once"]
    recorder.channel.close()


async def test_answers_of_handlers_are_no_burst(pair: Pair) -> None:
    recorder = Recorder(pair[0])
    answered = asyncio.Event()

    def answer(frames: list[wire.Frame]) -> None:
        for frame in frames:
            recorder.send(bytes(frame[6]))
        answered.set()

    recorder.channel._on_frames = answer
    pair[1].send(wire.pack(1, 1, b"one") + wire.pack(1, 1, b"two"))
    await answered.wait()
    assert read_now(pair[1]) == [b"one", b"two"]
    recorder.send(b"at once")
    assert read_now(pair[1]) == [b"at once"]
    recorder.channel.close()


async def test_a_read_does_not_end_the_iteration(pair: Pair) -> None:
    recorder = Recorder(pair[0])
    recorder.channel._on_frames = lambda frames: recorder.send(bytes(frames[0][6]))
    recorder.send(b"a")
    pair[1].send(wire.pack(1, 1, b"asked"))
    recorder.channel._readable()
    assert read_now(pair[1]) == [b"a", b"asked"]
    recorder.send(b"b")
    recorder.send(b"c")
    assert read_now(pair[1]) == []
    await asyncio.sleep(0)
    assert read_now(pair[1]) == [b"b", b"c"]
    recorder.channel.close()


async def test_a_send_the_kernel_takes_a_part_of_waits_and_those_after_it_keep_behind(pair: Pair) -> None:
    recorder = Recorder(pair[0])
    large = bytes(1_000_000)
    recorder.send(large)
    assert 0 < recorder.channel.queued < len(large)
    sent = [large]
    for number in range(3):
        await asyncio.sleep(0)  # a new iteration each, so each would leave at once if nothing waited
        sent.append(b"%d" % number)
        recorder.send(sent[-1])
    size = sum(wire.HEADER_SIZE + len(body) for body in sent)
    reader = asyncio.create_task(asyncio.to_thread(read_all, pair[1], size))
    await recorder.channel.flush()
    assert [bytes(frame[6]) for frame in wire.split(await reader)] == sent
    recorder.send(b"at once again")
    assert read_now(pair[1]) == [b"at once again"]
    recorder.channel.close()


async def test_a_send_the_kernel_takes_nothing_of_is_queued_whole(pair: Pair) -> None:
    recorder = Recorder(pair[0])
    filled = 0
    try:
        while True:
            filled += pair[0].send(bytes(1000))
    except BlockingIOError:
        recorder.send(b"waits")
    assert recorder.channel.queued == wire.HEADER_SIZE + len(b"waits")
    reader = asyncio.create_task(asyncio.to_thread(read_all, pair[1], filled))
    await recorder.channel.flush()
    await reader
    assert read_now(pair[1]) == [b"waits"]
    recorder.channel.close()


async def test_what_is_sent_while_frames_are_handled_leaves_before_the_loop_turns(pair: Pair) -> None:
    recorder = Recorder(pair[0])
    pair[1].send(wire.pack(1, 1, b"ping"))

    def pong(_frames: list[wire.Frame]) -> None:
        recorder.send(b"pong")
        asyncio.get_running_loop().call_soon(lambda: seen.append(pair[1].recv(1000)))

    seen: list[bytes] = []
    recorder.channel._on_frames = pong
    while not seen:  # noqa: ASYNC110 (an event would be one turn of the loop late)
        await asyncio.sleep(0)
    assert [bytes(frame[6]) for frame in wire.split(seen[0])] == [b"pong"]
    recorder.channel.close()


async def test_frames_larger_than_a_read_arrive_whole(pair: Pair) -> None:
    recorder = Recorder(pair[0])
    bodies = [bytes([number]) * 300_000 for number in range(5)]
    data = b"".join(wire.pack(1, 1, body) for body in bodies)
    sending = asyncio.create_task(asyncio.to_thread(pair[1].sendall, data))
    while len(recorder.bodies) < 5:
        recorder.arrived.clear()
        await recorder.arrived.wait()
    await sending
    assert recorder.bodies == bodies
    recorder.channel.close()


async def test_the_end_of_the_stream_is_told_once_after_the_last_frame(pair: Pair) -> None:
    recorder = Recorder(pair[0])
    pair[1].send(wire.pack(1, 1, b"last"))
    pair[1].close()
    await recorder.ended.wait()
    assert recorder.bodies == [b"last"]
    assert recorder.channel.closed
    with pytest.raises(ChannelClosedError):
        recorder.send(b"")
    with pytest.raises(ChannelClosedError):
        await recorder.channel.drain()


async def test_bytes_that_are_no_frames_end_the_stream(pair: Pair, caplog: pytest.LogCaptureFixture) -> None:
    recorder = Recorder(pair[0])
    pair[1].send(b"\xff" * 20)
    await recorder.ended.wait()
    assert "no frames" in caplog.text


async def test_drain_waits_for_a_slow_reader_and_nothing_is_lost(pair: Pair) -> None:
    recorder = Recorder(pair[0])
    body, count = bytes(100_000), 40
    frame = len(wire.pack(1, 1, body))
    reading = asyncio.Event()
    reader: asyncio.Task[bytes] | None = None
    highest = 0
    for _ in range(count):
        recorder.send(body)
        highest = max(highest, recorder.channel.queued)
        if recorder.channel.queued > HIGH_WATER and reader is None:
            waiting = asyncio.create_task(recorder.channel.drain())
            await asyncio.sleep(0)
            assert not waiting.done()
            reader = asyncio.create_task(asyncio.to_thread(read_all, pair[1], frame * count))
            reading.set()
            await waiting
        await recorder.channel.drain()
    await recorder.channel.flush()
    assert reader is not None
    assert len(await reader) == frame * count
    assert highest < HIGH_WATER + 2 * frame
    recorder.channel.close()


async def test_flush_waits_until_all_is_with_the_kernel(pair: Pair) -> None:
    recorder = Recorder(pair[0])
    recorder.send(bytes(5_000_000))
    reader = asyncio.create_task(asyncio.to_thread(read_all, pair[1], 5_000_020))
    await recorder.channel.flush()
    assert recorder.channel.queued == 0
    assert len(await reader) == 5_000_020
    recorder.channel.close()


async def test_a_send_past_the_hard_limit_is_refused_and_adds_nothing(pair: Pair) -> None:
    recorder = Recorder(pair[0])
    body = bytes(wire.MAX_BODY)
    for _ in range(4):
        recorder.send(body[:-20])
    with pytest.raises(QueueFullError) as caught:
        recorder.send(body)
    assert caught.value.queued <= HARD_LIMIT
    assert recorder.channel.queued == caught.value.queued
    recorder.channel.close()


async def test_a_body_over_the_limit_is_refused(pair: Pair) -> None:
    recorder = Recorder(pair[0])
    with pytest.raises(FrameTooLargeError):
        recorder.send(bytes(wire.MAX_BODY + 1))
    recorder.channel.close()


async def test_a_reader_that_dies_wakes_those_who_wait_for_it(pair: Pair) -> None:
    recorder = Recorder(pair[0])
    recorder.send(bytes(4 * HIGH_WATER))
    waiting = asyncio.create_task(recorder.channel.drain())
    await asyncio.sleep(0)
    pair[1].close()
    with pytest.raises(ChannelClosedError):
        await waiting
    await recorder.ended.wait()


async def test_a_thread_may_send_and_is_refused_what_the_loop_would_refuse(pair: Pair) -> None:
    recorder = Recorder(pair[0])
    refused: list[type[Exception]] = []

    def work() -> None:
        for number in range(100):
            recorder.send(b"%d" % number)
        for size in (wire.MAX_BODY + 1, *[wire.MAX_BODY] * 4):
            try:
                recorder.send(bytes(size))
            except (FrameTooLargeError, QueueFullError) as error:
                refused.append(type(error))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    got = wire.Decoder().feed(pair[1].recv(2200))
    assert [int(bytes(frame[6])) for frame in got[:100]] == list(range(100))
    assert refused == [FrameTooLargeError, QueueFullError, QueueFullError, QueueFullError]
    recorder.channel.close()


async def test_closing_twice_is_closing_once(pair: Pair) -> None:
    recorder = Recorder(pair[0])
    recorder.channel.close()
    recorder.channel.close()
    assert not recorder.ended.is_set()
    assert pair[1].recv(1) == b""
