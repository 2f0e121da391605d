"""Cuts what a child sent into runs: consecutive frames with the same header but for length and number. Pure.

The master forwards a run as one slice and looks at nothing but headers: most of what it costs per message is the loop in this file.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

from tamago.ipc.wire import HEADER_SIZE, MAX_BODY

# The header again, with kind, route, slot and to in one number, which is all there is to compare.
_HEAD: Final = struct.Struct("<IQI4x")


# Neither frozen nor a named tuple, which cost two to four times as much to make: a message that travels alone pays for one of each.
@dataclass(slots=True)
class Run:
    """`frames` frames at [start, stop) that share kind, route, slot and receiver."""

    kind: int
    route: int
    slot: int
    to: int
    start: int
    stop: int
    frames: int


@dataclass(slots=True, kw_only=True)
class Cut:
    """The runs in a chunk. The first `taken` bytes are dealt with, and `skip` bytes that follow them must be thrown away.

    `forged` frames named another sender than the channel's; `too_large` is the length of a body over the limit, or 0.
    """

    runs: list[Run]
    taken: int
    skip: int = 0
    forged: int = 0
    too_large: int = 0


def cut(view: memoryview, sender: int) -> Cut:
    """Cut a chunk that begins with a frame; frames of another sender are left out."""
    unpack, end, offset = _HEAD.unpack_from, len(view), 0
    runs: list[Run] = []
    key, start, count, forged = -1, 0, 0, 0
    while end - offset >= HEADER_SIZE:
        length, this, claimed = unpack(view, offset)
        stop = offset + HEADER_SIZE + length
        if stop > end or length > MAX_BODY:
            break
        if claimed != sender:
            forged += 1
            this = -1
        if this != key:
            if count:
                runs.append(_run(key, start, offset, count))
            key, start, count = this, offset, 0
        if this >= 0:
            count += 1
        offset = stop
    if count:
        runs.append(_run(key, start, offset, count))
    return _finish(view, runs, offset, forged)


def _run(key: int, start: int, stop: int, frames: int) -> Run:
    return Run(key & 0xFF, key >> 8 & 0xFF, key >> 16 & 0xFFFF, key >> 32, start, stop, frames)


def _finish(view: memoryview, runs: list[Run], offset: int, forged: int) -> Cut:
    """See why the loop ended: no whole header, a body still on its way, or one that nobody may send."""
    end = len(view)
    if end - offset >= HEADER_SIZE:
        length = _HEAD.unpack_from(view, offset)[0]
        if length > MAX_BODY:
            size = HEADER_SIZE + length
            there = min(size, end - offset)
            return Cut(runs=runs, taken=offset + there, skip=size - there, forged=forged, too_large=length)
    return Cut(runs=runs, taken=offset, forged=forged)
