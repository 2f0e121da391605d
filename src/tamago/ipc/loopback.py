"""The in-memory transport of a process outside a cluster: it is worker 1 and the agent in one.

Same frames, same limits, same errors as through the master, so what would not travel there fails here, and in tests, as well.
"""

from __future__ import annotations

import asyncio
import os
import threading
from asyncio import _get_running_loop
from collections import deque
from typing import Final

from tamago.errors import TamagoError
from tamago.ipc.channel import HARD_LIMIT, QueueFullError
from tamago.ipc.transport import Receiver
from tamago.ipc.wire import MAX_BODY, Frame, FrameTooLargeError, Route
from tamago.types import Peer, Role

OWN_PEER: Final = 1
_GENERATION: Final = 1


class NoEventLoopError(TamagoError):
    """A message was sent in a process where no event loop could deliver it."""

    def __init__(self) -> None:
        super().__init__(
            "a message was sent where no event loop runs, so nobody would ever get it",
            hint="send it from async code; or `await messenger.drain()` in a start-up hook, and threads may send from then on",
        )


class Loopback:
    """Delivers each frame to this process, in a later iteration of the event loop that sent it.

    A thread may send too, once a loop has used the messenger. What a loop did not deliver before it was closed is lost.
    """

    def __init__(self) -> None:
        self._receiver: Receiver  # the messenger binds itself before it sends
        self._loop: asyncio.AbstractEventLoop | None = None
        self._queue: deque[tuple[int, int, int, int, int, int, bytes]] = deque()
        self._queued = 0
        self._due = False
        self._lock = threading.Lock()
        self._emptied: list[asyncio.Future[None]] = []

    @property
    def loop(self) -> asyncio.AbstractEventLoop | None:
        """The loop that delivers; None while there is none, and the next loop that sends becomes it."""
        return self._loop if self._loop is not None and self._loop.is_running() else None

    @property
    def peers(self) -> tuple[Peer, ...]:
        pid = os.getpid()
        return (
            Peer(role=Role.AGENT, slot=0, generation=_GENERATION, pid=pid),
            Peer(role=Role.WORKER, slot=1, generation=_GENERATION, pid=pid),
        )

    def bind(self, receiver: Receiver) -> None:
        self._receiver = receiver

    def send(self, kind: int, route: int, slot: int, to: int, seq: int, body: bytes, /) -> None:
        if len(body) > MAX_BODY:
            raise FrameTooLargeError(len(body))
        with self._lock:
            loop = self._current_loop()
            if self._queued + len(body) > HARD_LIMIT:
                raise QueueFullError(self._queued)
            self._queue.append((kind, route, slot, to, OWN_PEER, seq, body))
            self._queued += len(body)
            if not self._due:
                self._due = True
                loop.call_soon_threadsafe(self._deliver)

    async def drain(self) -> None:
        """Wait until all that was sent is delivered."""
        with self._lock:
            loop = self._current_loop()
        if self._queue:
            waiter: asyncio.Future[None] = loop.create_future()
            self._emptied.append(waiter)
            await waiter

    async def flush(self) -> None:
        await self.drain()

    def _current_loop(self) -> asyncio.AbstractEventLoop:
        running = _get_running_loop()
        if running is None:
            if self._loop is None or self._loop.is_closed():
                raise NoEventLoopError
            return self._loop
        if self._loop is None or (running is not self._loop and not self._loop.is_running()):
            # Another test, another `asyncio.run`: what the old loop left undone belongs to a world that ended.
            self._loop = running
            self._queue.clear()
            self._emptied.clear()
            self._queued = 0
            self._due = False
        return self._loop

    def _deliver(self) -> None:
        with self._lock:
            self._due = False
            batch, self._queue = self._queue, deque()
            self._queued = 0
        receiver = self._receiver
        for frame in batch:
            reason = self._unreachable(frame[1], frame[2], frame[3])
            if reason:
                receiver.undelivered(frame[5], reason, 1)
            else:
                delivered: Frame = (*frame[:6], memoryview(frame[6]))
                receiver.receive((delivered,), _no_control)
        if not self._queue:
            self._wake()

    def _unreachable(self, route: int, slot: int, to: int) -> str:
        if route == Route.SLOT and slot != 1:
            return f"there is no slot {slot}"
        if route == Route.PID and to != os.getpid():
            return f"no process of this cluster has the pid {to}"
        return ""

    def _wake(self) -> None:
        for waiter in self._emptied:
            if not waiter.done():
                waiter.set_result(None)
        self._emptied.clear()


def _no_control(_body: memoryview) -> None:
    """There is no master to say anything."""
