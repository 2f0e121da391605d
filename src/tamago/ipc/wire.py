"""The frames on the socket between the master and a child: how they are packed and cut, and nothing about sockets.

Owns the header and its limits. It must not know what a body means: that is `ipc/bodies.py`. Sans-io and pure.

A frame is a header of 20 bytes, little endian, and a body: length u32, kind u8, route u8, slot u16, to u32, sender u32, seq u32.
"""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import Final

from tamago.errors import TamagoError

HEADER: Final = struct.Struct("<IBBHIII")
HEADER_SIZE: Final = 20
MAX_BODY: Final = 16 * 1024 * 1024

Frame = tuple[int, int, int, int, int, int, memoryview]
"""(kind, route, slot, to, sender, seq, body). A plain tuple: a named one costs half as much again as all the rest of decoding.

The body is a view that is only good until the next chunk is fed.
"""


class Kind(IntEnum):
    """What a frame is."""

    MESSAGE = 1
    REQUEST = 2
    REPLY = 3
    ERROR = 4
    CONTROL = 5


class Route(IntEnum):
    """Whom a frame is for."""

    MASTER = 0
    AGENT = 1
    APP = 2  # all workers
    ALL = 3  # the agent and all workers, the sender included
    PEER = 4  # the process with the peer id `to`
    SLOT = 5
    RANDOM = 6  # one ready worker
    PID = 7  # the process with the pid `to`


FIRST_KIND: Final = int(min(Kind))
LAST_KIND: Final = int(max(Kind))
LAST_ROUTE: Final = int(max(Route))


class FrameError(TamagoError):
    """Bytes that are not frames, or a frame that breaks a limit."""


class FrameTooLargeError(FrameError):
    """A body over `MAX_BODY`; `size` and `limit` are in bytes."""

    def __init__(self, size: int, limit: int = MAX_BODY) -> None:
        super().__init__(
            f"a message of {size:,} bytes is over the limit of {limit:,}",
            hint="put the data in a file or a database and send where it is",
        )
        self.size, self.limit = size, limit


class MalformedFrameError(FrameError):
    """A header or body nobody of ours would write; `reason` says what is wrong with it."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"malformed frame: {reason}")
        self.reason = reason


def pack(kind: int, route: int, body: bytes, *, slot: int = 0, to: int = 0, sender: int = 0, seq: int = 0) -> bytes:
    """Return a whole frame; raise FrameTooLargeError rather than make one that nobody would take."""
    if len(body) > MAX_BODY:
        raise FrameTooLargeError(len(body))
    return HEADER.pack(len(body), kind, route, slot, to, sender, seq) + body


def is_good(length: int, kind: int, route: int) -> bool:
    """Say whether these header fields keep the rules."""
    return length <= MAX_BODY and FIRST_KIND <= kind <= LAST_KIND and route <= LAST_ROUTE


def fault(length: int, kind: int, route: int) -> FrameError:
    """Return what is wrong with header fields that are not good."""
    if length > MAX_BODY:
        return FrameTooLargeError(length)
    if not FIRST_KIND <= kind <= LAST_KIND:
        return MalformedFrameError(f"unknown kind {kind}")
    return MalformedFrameError(f"unknown route {route}")


def frame_start(entry: bytes | memoryview, offset: int) -> int:
    """Return where the frame begins that has the byte at `offset`, in an entry of whole frames."""
    start = 0
    while start < len(entry):
        stop = start + HEADER_SIZE + int(HEADER.unpack_from(entry, start)[0])
        if stop > offset:
            break
        start = stop
    return start


def split(entry: bytes | memoryview) -> list[Frame]:
    """Cut an entry known to hold whole, good frames."""
    return Decoder().feed(entry)


class Decoder:
    """Rebuilds frames from chunks of any size. After the first `FrameError` the stream is lost: it raises for ever."""

    def __init__(self) -> None:
        # Invariant: holds less than one whole frame between two calls.
        self._rest = bytearray()
        self._fault: FrameError | None = None

    @property
    def pending(self) -> int:
        """How many bytes of an unfinished frame it holds."""
        return len(self._rest)

    def feed(self, chunk: bytes | bytearray | memoryview) -> list[Frame]:
        """Return the frames that `chunk` completes; their bodies are good until the next call."""
        if self._fault is not None:
            raise self._fault
        if not self._rest:
            return self._cut(memoryview(chunk))
        self._rest += chunk
        if len(self._rest) < HEADER_SIZE:
            return []
        length, kind, route = HEADER.unpack_from(self._rest)[:3]
        if len(self._rest) < HEADER_SIZE + length and is_good(length, kind, route):
            return []  # a large frame on its way: do not copy what is there on each chunk
        whole, self._rest = self._rest, bytearray()
        return self._cut(memoryview(whole))

    def _cut(self, view: memoryview) -> list[Frame]:
        unpack, end, offset = HEADER.unpack_from, len(view), 0
        frames: list[Frame] = []
        append = frames.append
        while end - offset >= HEADER_SIZE:
            length, kind, route, slot, to, sender, seq = unpack(view, offset)
            if length > MAX_BODY or not FIRST_KIND <= kind <= LAST_KIND or route > LAST_ROUTE:
                self._fault = fault(length, kind, route)
                raise self._fault
            start = offset + HEADER_SIZE
            if start + length > end:
                break
            offset = start + length
            append((kind, route, slot, to, sender, seq, view[start:offset]))
        if offset < end:
            self._rest += view[offset:]
        return frames
