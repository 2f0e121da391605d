"""A child's end of its channel while its event loop runs: big reads, and sends that go at once or joined, as many as come together.

Owns the socket, the outgoing bytes and their limits. It must not know what is inside a frame, nor who handles it.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import threading
from collections.abc import Callable
from threading import get_ident
from typing import Final

from tamago.errors import TamagoError
from tamago.ipc.blocking import ANCILLARY, CLOEXEC, descriptors_in
from tamago.ipc.wire import HEADER, MAX_BODY, Decoder, Frame, FrameError, FrameTooLargeError

READ_SIZE: Final = 128 * 1024
"""Bytes a read: large enough that the system call is noise, small enough that a flood cannot hold the loop for milliseconds."""

HIGH_WATER: Final = 1024 * 1024
"""`drain()` waits while more bytes than this are queued."""

LOW_WATER: Final = HIGH_WATER // 2
"""... and goes on once no more than this are."""

HARD_LIMIT: Final = 64 * 1024 * 1024
"""A send that would queue more bytes than this is refused: somebody sends in a loop and never awaits `drain()`."""

_EAGER: Final = 64 * 1024
"""With this much queued a send does not wait for the end of the loop iteration: the master works while the sender goes on."""

_log = logging.getLogger(__name__)


class ChannelClosedError(TamagoError):
    """The master is gone, or this process closed its channel."""

    def __init__(self) -> None:
        super().__init__(
            "the message cannot be sent: the channel to the master is closed",
            hint="this process is about to exit; see the master's log",
        )


class QueueFullError(TamagoError):
    """More is queued than a process may hold; `queued` and `limit` are in bytes."""

    def __init__(self, queued: int, limit: int = HARD_LIMIT) -> None:
        super().__init__(
            f"the message cannot be sent: {queued:,} bytes wait to be sent already (limit {limit:,})",
            hint="`await messenger.drain()` between sends: it waits until the receivers keep up",
        )
        self.queued, self.limit = queued, limit


class Channel:
    """Frames to and from the master on an asyncio or uvloop event loop.

    With `descriptors` it also takes those that come with frames, for `take_descriptors()`; without, the kernel closes them unseen.
    `send` works from any thread. All else, and making it, belongs to the thread the loop runs in.
    """

    def __init__(
        self,
        sock: socket.socket,
        *,
        peer: int,
        loop: asyncio.AbstractEventLoop,
        on_frames: Callable[[list[Frame]], None],
        on_eof: Callable[[], None],
        descriptors: bool = False,
    ) -> None:
        sock.setblocking(False)
        self._sock = sock
        self._fd = sock.fileno()
        self._peer = peer
        self.loop = loop
        self._thread = get_ident()
        self._on_frames = on_frames
        self._on_eof = on_eof
        self._decoder = Decoder()
        self._receive = self._receive_with_descriptors if descriptors else sock.recv_into
        self._descriptors: list[int] = []
        self._read_buffer = memoryview(bytearray(READ_SIZE))
        self._out = bytearray()
        self._flush_due = False
        # Invariant: True if the loop iteration that sent last sent several frames; the next will probably do the same.
        self._in_burst = False
        # Invariant: True exactly while the kernel's buffer is full and the loop watches for space.
        self._blocked = False
        self._closed = False
        # Bytes other threads have handed over that the loop has not seen yet.
        self._handed_over = 0
        self._handing_over = threading.Lock()
        self._drainers: list[asyncio.Future[None]] = []
        self._pack = HEADER.pack

    def start(self) -> None:
        """Begin to read."""
        self.loop.add_reader(self._fd, self._readable)

    @property
    def queued(self) -> int:
        """Bytes that wait to be written."""
        return len(self._out)

    @property
    def closed(self) -> bool:
        return self._closed

    def send(self, kind: int, route: int, slot: int, to: int, seq: int, body: bytes) -> None:
        """Send one frame: the first of a loop iteration at once, those after it joined, at the iteration's end.

        In a burst, that is after an iteration that sent several, the first waits for the others as well.
        """
        if self._closed:
            raise ChannelClosedError
        if get_ident() != self._thread:
            self._send_from_thread(kind, route, slot, to, seq, body)
            return
        size = len(body)
        out = self._out
        if len(out) + size > _EAGER:
            self._make_room(size)
        out += self._pack(size, kind, route, slot, to, self._peer, seq)
        out += body
        if self._flush_due:
            self._in_burst = True
            return
        self._flush_due = True
        self.loop.call_soon(self._flush)
        if not self._in_burst and not self._blocked:
            self._write()
        self._in_burst = False

    def _make_room(self, size: int) -> None:
        """Flush at once what is much already, and refuse what is too much."""
        if size > MAX_BODY:
            raise FrameTooLargeError(size)
        if not self._blocked:
            self._write()
        if len(self._out) + size > HARD_LIMIT:
            raise QueueFullError(len(self._out))

    def _send_from_thread(self, kind: int, route: int, slot: int, to: int, seq: int, body: bytes) -> None:
        # Refuse here what would be refused there, where nobody could catch it.
        if len(body) > MAX_BODY:
            raise FrameTooLargeError(len(body))
        with self._handing_over:
            queued = len(self._out) + self._handed_over
            if queued + len(body) > HARD_LIMIT // 2:
                raise QueueFullError(queued, HARD_LIMIT // 2)
            self._handed_over += len(body)
        try:
            self.loop.call_soon_threadsafe(self._take_over, kind, route, slot, to, seq, body)
        except RuntimeError:  # the loop is closed
            raise ChannelClosedError from None

    def _take_over(self, kind: int, route: int, slot: int, to: int, seq: int, body: bytes) -> None:
        with self._handing_over:
            self._handed_over -= len(body)
        if not self._closed:
            self.send(kind, route, slot, to, seq, body)

    async def drain(self) -> None:
        """Wait until at most `HIGH_WATER` bytes are queued. Raise ChannelClosedError if the master goes meanwhile."""
        if self._closed:
            raise ChannelClosedError
        if len(self._out) > HIGH_WATER:
            await self._until_low()

    async def flush(self) -> None:
        """Wait until everything queued is with the kernel, for a process about to exit."""
        while self._out and not self._closed:
            self._flush()
            if self._out:
                await self._until_low()

    def close(self) -> None:
        """Stop reading and writing and close the socket. What is still queued is lost; `flush()` first."""
        if self._closed:
            return
        self._closed = True
        self.loop.remove_reader(self._fd)
        if self._blocked:
            self._blocked = False
            self.loop.remove_writer(self._fd)
        self._sock.close()
        for descriptor in self.take_descriptors():
            os.close(descriptor)
        self._out = bytearray()
        self._wake_drainers()

    # ── reading ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def _readable(self) -> None:
        try:
            count = self._receive(self._read_buffer)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            count = 0
        if not count:
            self._end()
            return
        # What handlers send in answer leaves right below; no call_soon, and no wake-up in between.
        due, in_burst = self._flush_due, self._in_burst
        self._flush_due = True
        try:
            self._on_frames(self._decoder.feed(self._read_buffer[:count]))
        except FrameError:
            _log.exception("the master sent bytes that are no frames")
            self._end()
            return
        finally:
            self._flush_due, self._in_burst = due, in_burst
            if self._out and not self._blocked:
                self._write()

    def _receive_with_descriptors(self, buffer: memoryview) -> int:
        count, ancillary, _, _ = self._sock.recvmsg_into([buffer], ANCILLARY, CLOEXEC)
        self._descriptors += descriptors_in(ancillary)
        return count

    def take_descriptors(self) -> list[int]:
        """Return what came with the frames so far; whoever takes it owns it."""
        taken, self._descriptors = self._descriptors, []
        return taken

    def _end(self) -> None:
        self.close()
        self._on_eof()

    # ── writing ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def _flush(self) -> None:
        self._flush_due = False
        if not self._blocked:
            self._write()

    def _write(self) -> None:
        if self._closed or not self._out:
            return
        try:
            sent = self._sock.send(self._out)
        except (BlockingIOError, InterruptedError):
            sent = 0
        except OSError:
            # The reader sees the end of the stream, after whatever the master still said.
            self._out.clear()
            sent = 0
        del self._out[:sent]
        self._watch_for_space(bool(self._out))
        if self._drainers and len(self._out) <= LOW_WATER:
            self._wake_drainers()

    def _watch_for_space(self, wanted: bool) -> None:
        if wanted == self._blocked:
            return
        self._blocked = wanted
        if wanted:
            self.loop.add_writer(self._fd, self._write)
        else:
            self.loop.remove_writer(self._fd)

    async def _until_low(self) -> None:
        waiter: asyncio.Future[None] = self.loop.create_future()
        self._drainers.append(waiter)
        await waiter
        if self._closed:
            raise ChannelClosedError

    def _wake_drainers(self) -> None:
        for waiter in self._drainers:
            if not waiter.done():
                waiter.set_result(None)
        self._drainers.clear()
