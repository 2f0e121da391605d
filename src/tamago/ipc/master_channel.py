"""The master's end of one child's channel: non-blocking reads, and a queue of whole frames with descriptors on some of them.

Owns the socket and what waits to be written to it. It knows where frames begin and end and nothing else about them: what to do with them
is the relay's business.
"""

from __future__ import annotations

import array
import asyncio
import os
import socket
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from typing import Final

import msgspec

from tamago.ipc import wire
from tamago.ipc.control_messages import ToChild
from tamago.ipc.wire import HEADER, HEADER_SIZE, MAX_BODY, Kind, Route

READ_SIZE: Final = 256 * 1024
LAST_WORDS: Final = 2 * (HEADER_SIZE + MAX_BODY)
"""Bytes of a dead child that are still read, at most."""

GATHER: Final = 256
"""Entries a sendmsg takes at most; the kernel's own limit is 1024."""

_encode = msgspec.msgpack.Encoder().encode
_COUNT: Final = array.array("i").itemsize

# Reads are handled to the end before the next begins, so all channels of a process share one buffer: 64 workers cost what one does.
_shared = memoryview(bytearray(READ_SIZE))


@dataclass(slots=True)
class _Entry:
    """One or more whole frames; with descriptors, exactly one."""

    data: bytes | memoryview
    frames: int
    descriptors: tuple[int, ...] = ()

    def own(self) -> None:
        """Copy a view that is about to end."""
        self.data = bytes(self.data)


class MasterChannel:
    """One child's channel, on the master's event loop.

    `on_data(view)` gets bytes that begin with a frame and returns how many it took: all whole frames. The view is good only until it
    returns. `on_eof()` is called once, when the child closed its end or died. `on_room()` is called whenever the queue got shorter
    by the child reading.
    """

    def __init__(self, sock: socket.socket, *, loop: asyncio.AbstractEventLoop) -> None:
        sock.setblocking(False)
        self._sock = sock
        self._fd = sock.fileno()
        self._loop = loop
        self.on_data: Callable[[memoryview], int] = len
        self.on_eof: Callable[[], None] = _nothing
        self.on_room: Callable[[], None] = _nothing
        self._rest = b""
        # A frame larger than the shared buffer is put together in one of its own.
        self._large: bytearray | None = None
        self._filled = 0
        self._queue: deque[_Entry] = deque()
        self._fresh: list[_Entry] = []
        # Invariant: how much of the first entry of the queue the kernel has taken.
        self._offset = 0
        self.queued_bytes = 0
        self.queued_frames = 0
        self._reading = False
        # Invariant: True while `on_data` runs.
        self._busy = False
        self._blocked = False
        self._broken = False
        self._ended = False
        self._closed = False

    def start(self) -> None:
        """Begin to read. Set the callbacks before."""
        self.resume_reading()

    def fileno(self) -> int:
        return self._fd

    @property
    def closed(self) -> bool:
        return self._closed

    # ── reading ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def pause_reading(self) -> None:
        """Leave what the child sends in the kernel, which in the end makes the child wait."""
        if self._reading:
            self._reading = False
            self._loop.remove_reader(self._fd)

    def resume_reading(self) -> None:
        if not self._reading and not self._ended and not self._closed:
            self._reading = True
            self._loop.add_reader(self._fd, self._readable)

    def read_rest(self) -> None:
        """Read what a child left behind that died: what it said before counts. It may be called inside any channel's `on_data`."""
        if self._busy or self._closed:
            return
        left = bytearray(self._large[: self._filled] if self._large is not None else self._rest)
        self._large, self._rest = None, b""
        with suppress(OSError):
            # A grandchild that inherited the socket must not keep us here for ever.
            while len(left) < LAST_WORDS and (chunk := self._sock.recv(READ_SIZE)):
                left += chunk
        self._busy = True
        self.on_data(memoryview(left))
        self._busy = False

    def _readable(self) -> None:
        try:
            count = self._read()
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            count = 0
        if not count:
            self._end()

    def _read(self) -> int:
        if self._large is not None:
            return self._read_large(self._large)
        kept = len(self._rest)
        if kept:
            _shared[:kept] = self._rest
        count = self._sock.recv_into(_shared[kept:] if kept else _shared)
        if count:
            self._rest = b""
            self._hand_over(_shared[: kept + count])
        return count

    def _read_large(self, large: bytearray) -> int:
        with memoryview(large) as view:
            count = self._sock.recv_into(view[self._filled :])
        self._filled += count
        if self._filled == len(large):
            self._large = None
            self._hand_over(memoryview(large))
        return count

    def _hand_over(self, view: memoryview) -> None:
        self._busy = True
        try:
            taken = self.on_data(view)
        finally:
            self._busy = False
        if taken == len(view) or self._closed:
            return
        rest = view[taken:]
        if len(rest) >= HEADER_SIZE and (size := HEADER_SIZE + HEADER.unpack_from(rest)[0]) > READ_SIZE:
            # The relay takes what is too large itself, so this is at most MAX_BODY; untouched pages of it cost nothing.
            self._large = bytearray(min(size, HEADER_SIZE + MAX_BODY))
            self._filled = len(rest)
            self._large[: self._filled] = rest
        else:
            self._rest = bytes(rest)

    def _end(self) -> None:
        self.pause_reading()
        self._ended = True
        self.on_eof()

    # ── writing ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def put(self, frames: bytes | memoryview, count: int) -> None:
        """Queue `count` whole frames until `flush()`. The view is used until then, and copied if it cannot all be written."""
        self._fresh.append(_Entry(frames, count))
        self.queued_bytes += len(frames)
        self.queued_frames += count

    def send(self, message: ToChild, descriptors: Sequence[int] = ()) -> None:
        """Send one control message, behind what is queued; it is never refused. The descriptors are duplicated: close yours at will.

        Raises OSError, with nothing queued, when they cannot be: this process may open no more files.
        """
        if self._closed:
            return
        data = wire.pack(Kind.CONTROL, Route.MASTER, _encode(message))
        self._fresh.append(_Entry(data, 1, _duplicate(descriptors)))
        self.queued_bytes += len(data)
        self.queued_frames += 1
        self.flush()

    def flush(self) -> None:
        """Write what the kernel takes now, and the rest when it has room."""
        fresh = self._fresh
        if self._queue:
            self._keep()
        elif len(fresh) == 1 and not fresh[0].descriptors:
            self._write_alone(fresh.pop())
        elif fresh:
            self._queue.extend(fresh)
            fresh.clear()
            self._write()
            for entry in self._queue:
                entry.own()
        self._watch_for_room()

    def unsent(self) -> list[bytes]:
        """Return the frames that a dead child cannot have read, oldest first, as runs of whole frames.

        One of which only a part was written is among them: nobody acts on half a frame.
        """
        self._keep()
        runs: list[bytes] = []
        for index, entry in enumerate(self._queue):
            start = wire.frame_start(entry.data, self._offset) if index == 0 else 0
            if start < len(entry.data):
                runs.append(bytes(entry.data[start:]))
        return runs

    def close(self) -> None:
        """Close the socket and everything queued with it. Take `unsent()` first."""
        if self._closed:
            return
        self.pause_reading()
        self._closed = True
        if self._blocked:
            self._blocked = False
            self._loop.remove_writer(self._fd)
        self._sock.close()
        self._keep()
        self._forget()

    def _keep(self) -> None:
        """Make the fresh entries our own and put them behind the queue."""
        for entry in self._fresh:
            entry.own()
            self._queue.append(entry)
        self._fresh.clear()

    def _room(self) -> None:
        self._write()
        self._watch_for_room()
        self.on_room()

    def _write_alone(self, entry: _Entry) -> None:
        """Write an entry with no other before or behind it; queue it if the kernel does not take all of it.

        It is what `_write` does, on a short way: nearly every message of a quiet cluster travels alone, and waits for these lines.
        """
        try:
            sent = self._sock.send(entry.data)
        except (BlockingIOError, InterruptedError):
            sent = 0
        except OSError:
            self._broken, sent = True, 0
        if sent == len(entry.data):
            self.queued_bytes = self.queued_frames = 0
        else:
            entry.own()
            self._queue.append(entry)
            self._take_off(sent)

    def _write(self) -> None:
        while self._queue and not self._broken:
            batch, descriptors = self._next_batch()
            wanted = sum(map(len, batch))
            try:
                sent = self._send(batch, descriptors)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                # The child is gone. The end of the stream and the pidfd say so; what waits here is kept for `unsent()`.
                self._broken = True
                return
            self._take_off(sent)
            if sent < wanted:
                return

    def _next_batch(self) -> tuple[list[bytes | memoryview], tuple[int, ...]]:
        """Return the entries of the next sendmsg: one with descriptors goes alone, for they belong to its first byte."""
        first = self._queue[0]
        batch: list[bytes | memoryview] = [memoryview(first.data)[self._offset :] if self._offset else first.data]
        if first.descriptors:
            return batch, () if self._offset else first.descriptors
        for entry in islice(self._queue, 1, GATHER):
            if entry.descriptors:
                break
            batch.append(entry.data)
        return batch, ()

    def _send(self, batch: list[bytes | memoryview], descriptors: tuple[int, ...]) -> int:
        if descriptors:
            return self._sock.sendmsg(batch, [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))])
        if len(batch) == 1:
            return self._sock.send(batch[0])
        return self._sock.sendmsg(batch)

    def _take_off(self, sent: int) -> None:
        self.queued_bytes -= sent
        sent += self._offset
        queue = self._queue
        while queue and sent >= len(queue[0].data):
            entry = queue.popleft()
            sent -= len(entry.data)
            self.queued_frames -= entry.frames
            _close_all(entry.descriptors)
        self._offset = sent

    def _forget(self) -> None:
        for entry in self._queue:
            _close_all(entry.descriptors)
        self._queue.clear()
        self._offset = self.queued_bytes = self.queued_frames = 0

    def _watch_for_room(self) -> None:
        wanted = bool(self._queue) and not self._broken and not self._closed
        if wanted == self._blocked:
            return
        self._blocked = wanted
        if wanted:
            self._loop.add_writer(self._fd, self._room)
        else:
            self._loop.remove_writer(self._fd)


def _duplicate(descriptors: Sequence[int]) -> tuple[int, ...]:
    copies: list[int] = []
    try:
        for descriptor in descriptors:
            copies.append(os.dup(descriptor))  # noqa: PERF401 - those made before one fails are to be closed
    except OSError:
        _close_all(copies)
        raise
    return tuple(copies)


def _close_all(descriptors: Sequence[int]) -> None:
    for descriptor in descriptors:
        os.close(descriptor)


def _nothing() -> None:
    """Stand in for a callback nobody set."""
