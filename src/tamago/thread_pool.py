"""A fixed number of threads for applications that block, and the way back from them to the event loop. Knows nothing of HTTP.

Not `concurrent.futures`: its threads are joined when the interpreter exits, so one hung call would keep a worker from ever leaving.

What costs here is not Python but waking: each wake-up is a system call, and a thread that only wakes to wait for the interpreter lock.
So one thread is woken at a time, which wakes the next if there is more to do than for itself; and the loop is woken once for all that
the threads have to tell it by the time it runs.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import queue
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

Done = Callable[[BaseException | None], object]
_Job = tuple[Callable[[], object], contextvars.Context, Done]


class ThreadPool:
    """Runs calls in up to `size` threads, started as they are needed. `all_busy(flag)` is told when the last free one is taken."""

    def __init__(self, *, size: int, all_busy: Callable[[bool], None], loop: asyncio.AbstractEventLoop) -> None:
        self._size = size
        self._all_busy = all_busy
        self._jobs: deque[_Job] = deque()
        self._wake_ups: queue.SimpleQueue[bool] = queue.SimpleQueue()  # False: end
        # A wake-up is on its way, and whoever takes it will look for a job after this is False again; so no job is overlooked.
        self._waking = False
        self._threads: list[threading.Thread] = []
        self._busy = 0  # jobs given and not done: those past `size` wait
        self._post = LoopPost(loop)

    def submit(self, call: Callable[[], object], context: contextvars.Context, done: Done) -> None:
        """Run `call` in a thread and in `context`; then `done` in the loop, with what was raised. Called in the loop."""
        self._busy += 1
        if self._busy > len(self._threads) and len(self._threads) < self._size:
            self._start_thread()
        if self._busy == self._size:
            self._all_busy(True)
        self._jobs.append((call, context, done))
        if not self._waking:
            self._wake_one()

    def tell_loop(self, call: Callable[..., object], *arguments: Any) -> None:
        """Have `call` run in the loop, after everything told before. Called in a thread."""
        self._post.send(call, *arguments)

    def close(self) -> None:
        """Let idle threads end; a hung one is left behind."""
        for _ in self._threads:
            self._wake_ups.put(False)
        self._threads.clear()

    def _start_thread(self) -> None:
        thread = threading.Thread(target=self._work, name=f"request-{len(self._threads) + 1}", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _wake_one(self) -> None:
        self._waking = True
        self._wake_ups.put(True)

    # ── in a thread ──────────────────────────────────────────────────────────────────────────────────────────────────

    def _work(self) -> None:
        while self._wake_ups.get():
            self._waking = False
            self._work_off()

    def _work_off(self) -> None:
        """Take jobs until there is none."""
        jobs = self._jobs
        while True:
            try:
                call, context, done = jobs.popleft()
            except IndexError:
                return
            if jobs and not self._waking:
                self._wake_one()
            error: BaseException | None = None
            try:
                context.run(call)
            except BaseException as raised:  # noqa: BLE001 - it is the caller's
                error = raised
            self._post.send(self._done, done, error)
            del call, context, done, error  # or they would live until the next job comes

    # ── in the loop ──────────────────────────────────────────────────────────────────────────────────────────────────

    def _done(self, done: Done, error: BaseException | None) -> None:
        # Each call that ends is a sign of life, also while others wait for its thread.
        if self._busy >= self._size:
            self._all_busy(False)
        self._busy -= 1
        if self._busy >= self._size:
            self._all_busy(True)
        done(error)


class LoopPost:
    """Calls from threads, to be made in the loop, in order. However many there are, the loop is woken once."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._calls: deque[tuple[Callable[..., object], tuple[Any, ...]]] = deque()
        self._waking = False  # the loop will look into `_calls` after this is False again; so no call is overlooked

    def send(self, call: Callable[..., object], *arguments: Any) -> None:
        """Have `call` run in the loop."""
        self._calls.append((call, arguments))
        if not self._waking:
            self._waking = True
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                self._loop.call_soon_threadsafe(self._deliver)

    def _deliver(self) -> None:
        self._waking = False
        calls = self._calls
        # No more than there are now: a stream must not keep the loop from everything else.
        for _ in range(len(calls)):
            call, arguments = calls.popleft()
            try:
                call(*arguments)
            except Exception as error:  # noqa: BLE001 - the calls behind it are other requests'
                self._loop.call_exception_handler({"message": "a call from a thread failed", "exception": error})
        if calls and not self._waking:
            self._waking = True
            self._loop.call_soon(self._deliver)
