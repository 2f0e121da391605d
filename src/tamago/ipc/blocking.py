"""The nest's end of its channel, and any child's before its event loop runs: blocking frames with descriptors.

Owns sendmsg and recvmsg with SCM_RIGHTS. It reads exactly one frame at a time and nothing beyond it, so that the socket can be handed to
a `Channel` at any moment with not a byte lost in between.
"""

from __future__ import annotations

import array
import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from tamago.ipc import wire
from tamago.ipc.bodies import UNDECODABLE
from tamago.ipc.control_messages import FromChild, ToChild
from tamago.ipc.wire import FrameTooLargeError, Kind, MalformedFrameError, Route

MAX_DESCRIPTORS: Final = 253
"""The kernel's own limit for one SCM_RIGHTS (SCM_MAX_FD)."""

ANCILLARY: Final = socket.CMSG_SPACE(MAX_DESCRIPTORS * array.array("i").itemsize)
"""The room a recvmsg needs for them, in bytes."""
CLOEXEC: Final = getattr(socket, "MSG_CMSG_CLOEXEC", 0)  # macOS has no such flag

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(ToChild).decode


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """A control message and the descriptors that came with its first byte; whoever takes it owns them."""

    message: ToChild
    descriptors: tuple[int, ...]


class BlockingChannel:
    """Control messages to and from the master over a blocking socket."""

    def __init__(self, sock: socket.socket, *, peer: int = 0) -> None:
        sock.setblocking(True)
        self._sock = sock
        self.peer = peer
        """Our peer id, put into each frame as its sender. Unknown (0) until `Boot` told us; set it then."""

    def fileno(self) -> int:
        return self._sock.fileno()

    def send(self, message: FromChild) -> None:
        """Send one control message. Raise OSError when the master is gone."""
        self._sock.sendall(wire.pack(Kind.CONTROL, Route.MASTER, _encode(message), sender=self.peer))

    def receive(self) -> Received | None:
        """Wait for the next control message; None once the master is gone. Anything but a control message is an error."""
        descriptors: list[int] = []
        try:
            header = self._read_header(descriptors)
            if header is None:
                _close_all(descriptors)
                return None
            body = self._read_body(header)
            if body is None:
                _close_all(descriptors)
                return None
            message = _decode(body)
        except UNDECODABLE as error:
            _close_all(descriptors)
            raise MalformedFrameError(str(error)) from error
        except BaseException:
            _close_all(descriptors)
            raise
        return Received(message=message, descriptors=tuple(descriptors))

    def detach(self) -> socket.socket:
        """Give the socket away, to a `Channel`; this object is of no use afterwards."""
        sock, self._sock = self._sock, socket.socket(fileno=None)
        self._sock.close()
        return sock

    def close(self) -> None:
        self._sock.close()

    def _read_header(self, descriptors: list[int]) -> bytes | None:
        header = b""
        while len(header) < wire.HEADER_SIZE:
            try:
                chunk, ancillary, flags, _ = self._sock.recvmsg(wire.HEADER_SIZE - len(header), ANCILLARY, CLOEXEC)
            except ConnectionResetError:  # a Unix peer that closes with unread data in its buffer
                return None
            descriptors += descriptors_in(ancillary)
            if flags & socket.MSG_CTRUNC:
                raise MalformedFrameError("descriptors were cut off: this process may not open more files")
            if not chunk:
                return None  # also in the middle of a frame: a master that died does not finish its sentence
            header += chunk
        return header

    def _read_body(self, header: bytes) -> bytearray | None:
        length, kind, *_ = wire.HEADER.unpack(header)
        if length > wire.MAX_BODY:
            raise FrameTooLargeError(length)
        if kind != Kind.CONTROL:
            raise MalformedFrameError(f"kind {kind} on a control channel")
        body = bytearray(length)
        view, filled = memoryview(body), 0
        while filled < length:
            try:
                count = self._sock.recv_into(view[filled:])
            except ConnectionResetError:
                return None
            if not count:
                return None
            filled += count
        return body


def descriptors_in(ancillary: Sequence[tuple[int, int, bytes]]) -> list[int]:
    """Return the descriptors that came with a recvmsg; whoever takes them owns them."""
    found = array.array("i")
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            found.frombytes(data[: len(data) - len(data) % found.itemsize])
    if not CLOEXEC:
        for descriptor in found:
            os.set_inheritable(descriptor, False)
    return list(found)


def _close_all(descriptors: Sequence[int]) -> None:
    for descriptor in descriptors:
        os.close(descriptor)
