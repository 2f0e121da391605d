"""A process that copies bytes between two socketpairs and looks at none of them: what any relay written in Python is up against."""

from __future__ import annotations

import multiprocessing
import select
import socket
import struct
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import msgspec

LENGTH = struct.Struct("<I")
CHUNK = 256 * 1024
FLUSH_AT = 64 * 1024


class RelayLine:
    """Frames of msgpack, written together when there are several."""

    def __init__(self, end: socket.socket) -> None:
        self._socket = end
        self._outgoing = bytearray()
        self._incoming = b""
        self._received: deque[tuple[str, Any]] = deque()
        self._encode = msgspec.msgpack.Encoder().encode
        self._decode = msgspec.msgpack.Decoder(tuple[str, Any]).decode

    def send(self, action: str, data: Any) -> None:
        body = self._encode((action, data))
        self._outgoing += LENGTH.pack(len(body))
        self._outgoing += body
        if len(self._outgoing) >= FLUSH_AT:
            self.flush()

    def flush(self) -> None:
        if self._outgoing:
            self._socket.sendall(self._outgoing)
            self._outgoing.clear()

    def receive(self) -> tuple[str, Any]:
        while not self._received:
            self.flush()
            self._split(self._incoming + self._socket.recv(CHUNK))
        return self._received.popleft()

    def _split(self, chunk: bytes) -> None:
        view, at = memoryview(chunk), 0
        while len(chunk) - at >= LENGTH.size:
            end = at + LENGTH.size + LENGTH.unpack_from(chunk, at)[0]
            if end > len(chunk):
                break
            self._received.append(self._decode(view[at + LENGTH.size : end]))
            at = end
        self._incoming = chunk[at:]


@dataclass(frozen=True, slots=True)
class Relay:
    app_end: socket.socket
    agent_end: socket.socket

    def app(self) -> RelayLine:
        return RelayLine(self.app_end)

    def agent(self) -> RelayLine:
        return RelayLine(self.agent_end)


def _copy(one: socket.socket, other: socket.socket) -> None:
    opposite = {one.fileno(): (one, other), other.fileno(): (other, one)}
    poll = select.epoll()
    for descriptor in opposite:
        poll.register(descriptor, select.EPOLLIN)
    while True:
        for descriptor, _ in poll.poll():
            source, sink = opposite[descriptor]
            sink.sendall(source.recv(CHUNK))


@contextmanager
def bare_relay() -> Iterator[Relay]:
    app_end, near_app = socket.socketpair()
    agent_end, near_agent = socket.socketpair()
    process = multiprocessing.get_context("fork").Process(target=_copy, args=(near_app, near_agent))
    process.start()
    try:
        yield Relay(app_end, agent_end)
    finally:
        process.kill()
        process.join()
