"""The transport of a worker or agent: frames over its channel to the master.

Owns the live view of peers and splits the master's own messages into those the messenger needs and those the process needs.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable

import msgspec

from tamago.ipc.bodies import UNDECODABLE
from tamago.ipc.channel import Channel, ChannelClosedError
from tamago.ipc.control_messages import FromChild, Peers, ToChild, Undelivered
from tamago.ipc.transport import Receiver
from tamago.ipc.wire import Frame, Kind, Route
from tamago.types import Peer, Role

_log = logging.getLogger(__name__)
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(ToChild).decode


class ChannelTransport:
    """Carries this process's frames to the master, who passes them on.

    `on_control(message)` gets every control message but `Peers` and `Undelivered`; `on_eof()` is called once, when the master is gone.
    Must be made while `loop` is the loop that will run; nothing is delivered before `messenger.connect(transport)`.
    """

    def __init__(
        self,
        sock: socket.socket,
        *,
        peer: int,
        loop: asyncio.AbstractEventLoop,
        on_control: Callable[[ToChild], None],
        on_eof: Callable[[], None],
        descriptors: bool = False,
    ) -> None:
        self._on_control = on_control
        self._on_eof = on_eof
        self._receiver: Receiver  # nothing is read, and so nothing delivered, before bind() sets it
        self._peers: tuple[Peer, ...] = ()
        self._loop = loop
        self.channel = Channel(sock, peer=peer, loop=loop, on_frames=self._frames, on_eof=self._eof, descriptors=descriptors)
        # The messenger calls it for every message; one call less counts.
        self.send = self.channel.send
        self.drain = self.channel.drain
        self.flush = self.channel.flush
        self.take_descriptors = self.channel.take_descriptors

    @property
    def loop(self) -> asyncio.AbstractEventLoop | None:
        return self._loop

    @property
    def peers(self) -> tuple[Peer, ...]:
        return self._peers

    def bind(self, receiver: Receiver) -> None:
        self._receiver = receiver
        self.channel.start()

    def send_control(self, message: FromChild) -> None:
        """Tell the master something about this process."""
        self.channel.send(Kind.CONTROL, Route.MASTER, 0, 0, 0, _encode(message))

    def close(self) -> None:
        """Close the channel; `await flush()` first."""
        self.channel.close()

    def _frames(self, frames: list[Frame]) -> None:
        self._receiver.receive(frames, self._control)

    def _control(self, body: memoryview) -> None:
        try:
            message = _decode(body)
        except UNDECODABLE:
            _log.exception("the master sent a control message this version does not know")
            return
        if isinstance(message, Undelivered):
            self._receiver.undelivered(message.request, message.reason, message.count)
        elif isinstance(message, Peers):
            self._peers = tuple(
                Peer(role=Role(role), slot=slot, generation=generation, pid=pid) for role, slot, generation, pid, _peer in message.peers
            )
        else:
            self._on_control(message)

    def _eof(self) -> None:
        self._receiver.disconnected(ChannelClosedError())
        self._on_eof()
