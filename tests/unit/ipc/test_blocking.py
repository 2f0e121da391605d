from __future__ import annotations

import array
import fcntl
import os
import socket
import threading

import msgspec
import pytest

from tamago.ipc import wire
from tamago.ipc.blocking import BlockingChannel
from tamago.ipc.control_messages import Hello, Ready, Watch
from tamago.ipc.wire import Kind, MalformedFrameError, Route

Pair = tuple[socket.socket, socket.socket]


def control(message: msgspec.Struct) -> bytes:
    return wire.pack(Kind.CONTROL, Route.MASTER, msgspec.msgpack.encode(message))


def send_with(sock: socket.socket, data: bytes, descriptors: list[int]) -> None:
    sock.sendmsg([data], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))])


def test_a_message_is_sent_in_the_name_of_the_peer(pair: Pair) -> None:
    BlockingChannel(pair[0], peer=5).send(Hello(version=1, pid=42))
    [(kind, route, _, _, sender, _, body)] = wire.split(pair[1].recv(1000))
    assert (kind, route, sender) == (Kind.CONTROL, Route.MASTER, 5)
    assert msgspec.msgpack.decode(body, type=Hello) == Hello(version=1, pid=42)


def test_descriptors_come_with_their_message_and_close_on_exec(pair: Pair) -> None:
    reader, writer = os.pipe()
    send_with(pair[1], control(Watch(pid=7)), [writer])
    os.close(writer)
    received = BlockingChannel(pair[0]).receive()
    assert received is not None
    assert received.message == Watch(pid=7)
    [descriptor] = received.descriptors
    assert fcntl.fcntl(descriptor, fcntl.F_GETFD) & fcntl.FD_CLOEXEC
    os.write(descriptor, b"x")
    os.close(descriptor)
    assert os.read(reader, 10) == b"x"
    assert os.read(reader, 10) == b""
    os.close(reader)


def test_not_a_byte_behind_the_frame_is_read_so_that_the_socket_can_change_hands(pair: Pair) -> None:
    pair[1].sendall(control(Ready()) + b"the rest")
    channel = BlockingChannel(pair[0])
    received = channel.receive()
    assert received is not None
    assert received.message == Ready()
    sock = channel.detach()
    assert sock is pair[0]
    assert sock.recv(100) == b"the rest"


def test_descriptors_of_the_next_frame_are_not_taken_with_this_one(pair: Pair) -> None:
    pair[1].sendall(control(Ready()))
    send_with(pair[1], control(Watch(pid=1)), [pair[1].fileno()])
    channel = BlockingChannel(pair[0])
    first, second = channel.receive(), channel.receive()
    assert first is not None
    assert second is not None
    assert (len(first.descriptors), len(second.descriptors)) == (0, 1)
    os.close(second.descriptors[0])


def test_a_frame_in_pieces_is_waited_for(pair: Pair) -> None:
    data = control(Watch(pid=123456))
    channel = BlockingChannel(pair[0])

    def drip() -> None:
        for index in range(len(data)):
            pair[1].send(data[index : index + 1])

    thread = threading.Thread(target=drip)
    thread.start()
    received = channel.receive()
    thread.join()
    assert received is not None
    assert received.message == Watch(pid=123456)


def test_the_end_of_the_stream_is_none(pair: Pair) -> None:
    pair[1].close()
    assert BlockingChannel(pair[0]).receive() is None


@pytest.mark.parametrize("length", [1, 19, 20, 22])
def test_the_end_in_the_middle_of_a_frame_is_none_and_its_descriptors_are_closed(pair: Pair, length: int) -> None:
    reader, writer = os.pipe()
    send_with(pair[1], control(Watch(pid=7))[:length], [writer])
    os.close(writer)
    pair[1].close()
    assert BlockingChannel(pair[0]).receive() is None
    assert os.read(reader, 1) == b""
    os.close(reader)


def test_a_master_that_died_with_our_words_unread_is_the_end_too(pair: Pair) -> None:
    channel = BlockingChannel(pair[0])
    channel.send(Hello(version=1, pid=1))
    pair[1].close()  # unread data turns the end into ECONNRESET
    assert channel.receive() is None


@pytest.mark.parametrize(
    "frame",
    [
        wire.pack(Kind.MESSAGE, Route.APP, b"\x92\xa1a\xc0"),
        wire.pack(Kind.CONTROL, Route.MASTER, b"\xc1"),
        wire.pack(Kind.CONTROL, Route.MASTER, msgspec.msgpack.encode(Hello(version=1, pid=1))),
        wire.HEADER.pack(wire.MAX_BODY + 1, Kind.CONTROL, 0, 0, 0, 0, 0),
    ],
    ids=["message", "noise", "not for a child", "too large"],
)
def test_what_is_no_control_message_is_a_frame_error(pair: Pair, frame: bytes) -> None:
    pair[1].sendall(frame)
    with pytest.raises(wire.FrameError):
        BlockingChannel(pair[0]).receive()


def test_a_bad_message_does_not_leak_its_descriptors(pair: Pair) -> None:
    reader, writer = os.pipe()
    send_with(pair[1], wire.pack(Kind.CONTROL, Route.MASTER, b"\xc1"), [writer])
    os.close(writer)
    with pytest.raises(MalformedFrameError):
        BlockingChannel(pair[0]).receive()
    assert os.read(reader, 1) == b""
    os.close(reader)
