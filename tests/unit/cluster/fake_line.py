"""A child's channel that obeys: what is put on it is read in order, or waits while nobody reads, and is there when it dies."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from tamago.ipc import wire
from tamago.ipc.control_messages import ToChild, Undelivered
from tamago.ipc.wire import Kind, Route

_decode = msgspec.msgpack.Decoder(ToChild).decode


class FakeLine:
    """What one child reads, sends and leaves unread."""

    def __init__(self, peer: int) -> None:
        self.peer = peer
        self.on_data: Callable[[memoryview], int] = len
        self.on_eof: Callable[[], None] = lambda: None
        self.on_room: Callable[[], None] = lambda: None
        self.started = self.reads = self.closed = False
        self.stuck = False
        self._fresh: list[memoryview | bytes] = []
        self._queue: list[bytes] = []
        self._said = b""
        self.received: list[wire.Frame] = []

    # what the relay calls

    @property
    def queued_bytes(self) -> int:
        return sum(map(len, self._queue)) + sum(map(len, self._fresh))

    def start(self) -> None:
        self.started = True
        self.resume_reading()

    def pause_reading(self) -> None:
        assert not self.closed
        self.reads = False

    def resume_reading(self) -> None:
        assert self.started
        assert not self.closed
        self.reads = True

    def read_rest(self) -> None:
        assert not self.closed
        self._hand_over()

    def put(self, frames: bytes | memoryview, count: int, /) -> None:
        assert not self.closed
        assert len(wire.split(frames)) == count
        self._fresh.append(frames)

    def flush(self) -> None:
        self._queue += map(bytes, self._fresh)
        self._fresh.clear()
        if not self.stuck:
            self._deliver()

    def unsent(self) -> list[bytes]:
        return [*self._queue, *map(bytes, self._fresh)]

    def close(self) -> None:
        assert not self.closed
        self.closed = True

    # what the child does

    def say(self, data: bytes) -> None:
        """Send bytes; the relay gets them once it reads."""
        self._said += data
        if self.reads:
            self._hand_over()

    def _hand_over(self) -> None:
        # A buffer that is used again for the next read, as the real one is.
        buffer = bytearray(self._said)
        self._said = b""
        taken = self.on_data(memoryview(buffer))
        self._said = bytes(buffer[taken:]) + self._said
        buffer[:] = bytes(len(buffer))

    def catch_up(self) -> None:
        """Be able to read again, and read all that waits."""
        self.stuck = False
        self._deliver()
        self.on_room()

    def _deliver(self) -> None:
        for run in self._queue:
            self.received += wire.split(run)
        self._queue.clear()

    # what a test asks

    def bodies(self) -> list[str]:
        """Return the texts of all messages, requests and answers it has read."""
        return [bytes(frame[6]).decode() for frame in self.received if frame[0] != Kind.CONTROL]

    def undelivered(self) -> list[Undelivered]:
        """Return what it was told could not be delivered."""
        told = [_decode(frame[6]) for frame in self.received if frame[0] == Kind.CONTROL]
        return [message for message in told if isinstance(message, Undelivered)]

    # what a child can send

    def message(self, route: Route, text: str, *, slot: int = 0, to: int = 0) -> None:
        self.say(wire.pack(Kind.MESSAGE, route, text.encode(), slot=slot, to=to, sender=self.peer))

    def request(self, route: Route, text: str, seq: int, *, slot: int = 0, to: int = 0) -> None:
        self.say(wire.pack(Kind.REQUEST, route, text.encode(), slot=slot, to=to, sender=self.peer, seq=seq))

    def reply(self, to: int, seq: int, text: str = "reply", kind: Kind = Kind.REPLY) -> None:
        self.say(wire.pack(kind, Route.PEER, text.encode(), to=to, sender=self.peer, seq=seq))

    def control(self, message: msgspec.Struct) -> None:
        self.say(wire.pack(Kind.CONTROL, Route.MASTER, msgspec.msgpack.encode(message), sender=self.peer))
