from __future__ import annotations

import array
import asyncio
import os
import socket
from collections.abc import Callable
from contextlib import suppress

import msgspec
import pytest

from tamago.ipc import wire
from tamago.ipc.blocking import BlockingChannel
from tamago.ipc.control_messages import Drain, Ready, Undelivered, Watch
from tamago.ipc.master_channel import LAST_WORDS, READ_SIZE, MasterChannel

pytestmark = pytest.mark.anyio
Pair = tuple[socket.socket, socket.socket]


class Recorder:
    """A master's channel that takes whole frames and remembers them."""

    def __init__(self, sock: socket.socket) -> None:
        self.channel = MasterChannel(sock, loop=asyncio.get_running_loop())
        self.bodies: list[bytes] = []
        self.ended = 0
        self.rooms = 0
        self.channel.on_data = self._data
        self.channel.on_eof = self._eof
        self.channel.on_room = self._room

    def _data(self, view: memoryview) -> int:
        taken = 0
        for frame in wire.split(view):
            self.bodies.append(bytes(frame[6]))
            taken += wire.HEADER_SIZE + len(frame[6])
        return taken

    def _eof(self) -> None:
        self.ended += 1

    def _room(self) -> None:
        self.rooms += 1


async def until(claim: Callable[[], object]) -> None:
    while not claim():  # noqa: ASYNC110 (the claims are about plain state)
        await asyncio.sleep(0)


def frame(body: bytes) -> bytes:
    return wire.pack(1, 1, body)


def filled(channel: MasterChannel) -> int:
    """Put small frames until the kernel takes no more; return how many."""
    count = 0
    while not channel.queued_bytes:
        channel.put(frame(b"%06d" % count), 1)
        channel.flush()
        count += 1
    return count


def read_now(sock: socket.socket) -> bytes:
    sock.setblocking(False)
    data = b""
    try:
        while chunk := sock.recv(1 << 20):
            data += chunk
    except BlockingIOError:
        pass
    return data


async def test_frames_in_any_pieces_are_handed_over_whole(pair: Pair) -> None:
    recorder = Recorder(pair[0])
    recorder.channel.start()
    for byte in frame(b"hello") + frame(b"") + frame(b"world"):
        pair[1].send(bytes([byte]))
        await asyncio.sleep(0)
    await until(lambda: len(recorder.bodies) == 3)
    assert recorder.bodies == [b"hello", b"", b"world"]
    recorder.channel.close()


async def test_two_channels_share_a_buffer_and_not_their_halves(pair: Pair) -> None:
    other = socket.socketpair()
    one, two = Recorder(pair[0]), Recorder(other[0])
    one.channel.start()
    two.channel.start()
    for byte_one, byte_two in zip(frame(b"left"), frame(b"RITE"), strict=True):
        pair[1].send(bytes([byte_one]))
        other[1].send(bytes([byte_two]))
        await asyncio.sleep(0)
    await until(lambda: one.bodies and two.bodies)
    assert (one.bodies, two.bodies) == ([b"left"], [b"RITE"])
    one.channel.close()
    two.channel.close()
    other[1].close()


@pytest.mark.parametrize("size", [READ_SIZE - 20, READ_SIZE - 19, 3_000_000])
async def test_a_frame_around_and_over_the_buffers_size_arrives_between_small_ones(pair: Pair, size: int) -> None:
    recorder = Recorder(pair[0])
    recorder.channel.start()
    sending = asyncio.create_task(asyncio.to_thread(pair[1].sendall, frame(b"a") + frame(bytes(size)) + frame(b"b")))
    await until(lambda: len(recorder.bodies) == 3)
    await sending
    assert [len(body) for body in recorder.bodies] == [1, size, 1]
    recorder.channel.close()


async def test_a_half_frame_that_stalls_holds_up_nobody_else(pair: Pair) -> None:
    other = socket.socketpair()
    stuck, fine = Recorder(pair[0]), Recorder(other[0])
    stuck.channel.start()
    fine.channel.start()
    pair[1].send(frame(bytes(1000))[:500])
    other[1].send(frame(b"ok"))
    await until(lambda: fine.bodies)
    assert stuck.bodies == []
    stuck.channel.close()
    fine.channel.close()
    other[1].close()


async def test_a_paused_channel_leaves_frames_in_the_kernel(pair: Pair) -> None:
    recorder = Recorder(pair[0])
    recorder.channel.start()
    recorder.channel.pause_reading()
    recorder.channel.pause_reading()
    pair[1].send(frame(b"later"))
    for _ in range(5):
        await asyncio.sleep(0)
    assert recorder.bodies == []
    recorder.channel.resume_reading()
    await until(lambda: recorder.bodies == [b"later"])
    recorder.channel.close()


async def test_the_end_is_told_once_though_reading_is_resumed(pair: Pair) -> None:
    recorder = Recorder(pair[0])
    recorder.channel.start()
    pair[1].close()
    await until(lambda: recorder.ended)
    recorder.channel.resume_reading()
    for _ in range(5):
        await asyncio.sleep(0)
    assert recorder.ended == 1
    recorder.channel.close()


async def test_what_a_dead_child_said_before_is_still_read(pair: Pair) -> None:
    recorder = Recorder(pair[0])
    recorder.channel.start()
    pair[1].send(frame(b"half")[:10])
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    recorder.channel.pause_reading()
    pair[1].send(frame(b"half")[10:] + frame(b"last words") + frame(b"unfinished")[:-1])
    pair[1].close()
    recorder.channel.read_rest()
    assert recorder.bodies == [b"half", b"last words"]
    assert LAST_WORDS > READ_SIZE
    recorder.channel.close()
    recorder.channel.read_rest()


async def test_a_put_view_may_change_after_the_flush(pair: Pair) -> None:
    channel = MasterChannel(pair[0], loop=asyncio.get_running_loop())
    count = filled(channel)
    buffer = bytearray(frame(b"kept!!"))
    channel.put(memoryview(buffer), 1)
    channel.flush()
    buffer[-6:] = b"broken"
    data = bytearray()
    while channel.queued_bytes:
        data += read_now(pair[1])
        await asyncio.sleep(0)
    data += read_now(pair[1])
    bodies = [bytes(got[6]) for got in wire.split(bytes(data))]
    assert bodies == [b"%06d" % number for number in range(count)] + [b"kept!!"]
    assert (channel.queued_bytes, channel.queued_frames) == (0, 0)
    channel.close()


async def test_a_frame_the_kernel_takes_a_part_of_is_finished_before_the_next_and_from_a_copy(pair: Pair) -> None:
    channel = MasterChannel(pair[0], loop=asyncio.get_running_loop())
    buffer = bytearray(frame(b"x" * 1_000_000))
    channel.put(memoryview(buffer), 1)
    channel.flush()
    assert 0 < channel.queued_bytes < len(buffer)
    assert channel.queued_frames == 1
    buffer[20:] = b"y" * 1_000_000
    channel.put(frame(b"next"), 1)
    channel.flush()
    data = bytearray()
    while channel.queued_bytes:
        data += read_now(pair[1])
        await asyncio.sleep(0)
    data += read_now(pair[1])
    assert [bytes(got[6]) for got in wire.split(bytes(data))] == [b"x" * 1_000_000, b"next"]
    # The queue is empty again: the next one is with the kernel at once.
    channel.put(frame(b"last"), 1)
    channel.flush()
    assert (channel.queued_bytes, channel.queued_frames) == (0, 0)
    assert [bytes(got[6]) for got in wire.split(read_now(pair[1]))] == [b"last"]
    channel.close()


async def test_a_frame_that_waits_alone_for_a_dead_child_is_given_back(pair: Pair) -> None:
    channel = MasterChannel(pair[0], loop=asyncio.get_running_loop())
    pair[1].close()
    buffer = bytearray(frame(b"kept"))
    channel.put(memoryview(buffer), 1)
    channel.flush()
    buffer[-4:] = b"lost"
    assert channel.unsent() == [frame(b"kept")]
    assert channel.queued_frames == 1
    channel.close()


async def test_room_is_told_when_the_child_reads(pair: Pair) -> None:
    recorder = Recorder(pair[0])
    filled(recorder.channel)
    read_now(pair[1])
    await until(lambda: recorder.rooms)
    assert recorder.channel.queued_bytes == 0
    recorder.channel.close()


async def test_descriptors_go_with_the_first_byte_of_their_frame_between_others(pair: Pair) -> None:
    channel = MasterChannel(pair[0], loop=asyncio.get_running_loop())
    reader, writer = os.pipe()
    channel.send(Ready())
    channel.send(Watch(pid=1), [writer])
    channel.send(Drain(closing=False))
    channel.send(Watch(pid=2), [reader, writer])
    os.close(reader)
    os.close(writer)
    child = BlockingChannel(pair[1])
    got = [child.receive() for _ in range(4)]
    assert [(item.message, len(item.descriptors)) for item in got if item is not None] == [
        (Ready(), 0),
        (Watch(pid=1), 1),
        (Drain(closing=False), 0),
        (Watch(pid=2), 2),
    ]
    for item in got:
        for descriptor in item.descriptors if item is not None else ():
            os.close(descriptor)
    channel.close()


async def test_descriptors_wait_in_the_queue_and_still_go_with_their_frame(pair: Pair) -> None:
    channel = MasterChannel(pair[0], loop=asyncio.get_running_loop())
    count = filled(channel)
    reader, writer = os.pipe()
    channel.send(Watch(pid=1), [writer])
    channel.send(Ready())
    os.close(writer)
    pair[1].setblocking(False)
    left = 26 * count
    while left:
        with suppress(BlockingIOError):
            left -= len(pair[1].recv(min(100_000, left)))
        await asyncio.sleep(0)
    await until(lambda: not channel.queued_bytes)
    child = BlockingChannel(pair[1])
    first, second = child.receive(), child.receive()
    assert first is not None
    assert second is not None
    assert (first.message, second.message) == (Watch(pid=1), Ready())
    os.write(first.descriptors[0], b"x")
    os.close(first.descriptors[0])
    assert os.read(reader, 9) == b"x"
    assert os.read(reader, 9) == b""
    os.close(reader)
    channel.close()


async def test_closing_closes_descriptors_that_were_never_sent(pair: Pair) -> None:
    channel = MasterChannel(pair[0], loop=asyncio.get_running_loop())
    filled(channel)
    reader, writer = os.pipe()
    channel.send(Watch(pid=1), [writer])
    os.close(writer)
    channel.close()
    channel.close()
    assert os.read(reader, 1) == b""
    os.close(reader)


async def test_what_a_dead_child_cannot_have_read_is_given_back_in_order(pair: Pair) -> None:
    channel = MasterChannel(pair[0], loop=asyncio.get_running_loop())
    count = filled(channel)
    channel.put(frame(b"x" * 50), 1)
    channel.flush()
    channel.put(frame(b"fresh"), 1)
    got = [bytes(item[6]) for item in wire.Decoder().feed(read_now(pair[1]))]
    pair[1].close()
    unsent = [bytes(item[6]) for run in channel.unsent() for item in wire.split(run)]
    assert got + unsent == [b"%06d" % number for number in range(count)] + [b"x" * 50, b"fresh"]
    channel.close()


async def test_after_the_child_died_nothing_is_lost_and_nobody_spins(pair: Pair) -> None:
    recorder = Recorder(pair[0])
    pair[1].close()
    recorder.channel.put(frame(b"one"), 1)
    recorder.channel.flush()
    recorder.channel.put(frame(b"two"), 1)
    recorder.channel.flush()
    for _ in range(5):
        await asyncio.sleep(0)
    assert recorder.rooms == 0
    assert [bytes(item[6]) for run in recorder.channel.unsent() for item in wire.split(run)] == [b"one", b"two"]
    recorder.channel.close()
    recorder.channel.send(Ready())


async def test_many_small_frames_go_in_few_writes_and_in_order(pair: Pair) -> None:
    channel = MasterChannel(pair[0], loop=asyncio.get_running_loop())
    for number in range(1000):
        channel.put(frame(b"%d" % number), 1)
    channel.flush()
    assert [int(bytes(item[6])) for item in wire.split(read_now(pair[1]))] == list(range(1000))
    channel.close()


async def test_descriptors_of_a_frame_that_goes_in_pieces_are_sent_once(pair: Pair) -> None:
    channel = MasterChannel(pair[0], loop=asyncio.get_running_loop())
    message = Undelivered(request=0, reason="x" * 1_000_000)
    channel.send(message, [pair[1].fileno()])
    pair[1].setblocking(False)
    data, descriptors = b"", array.array("i")
    while channel.queued_bytes or len(data) < 1_000_000:
        with suppress(BlockingIOError):
            chunk, ancillary, _, _ = pair[1].recvmsg(1 << 20, 1000)
            data += chunk
            for _, _, fds in ancillary:
                descriptors.frombytes(fds)
        await asyncio.sleep(0)
    for descriptor in descriptors:
        os.close(descriptor)
    assert len(descriptors) == 1
    assert msgspec.msgpack.decode(wire.split(data)[0][6], type=Undelivered) == message
    channel.close()
