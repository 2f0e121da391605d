"""A fixed number of threads for applications that block. Knows nothing of HTTP.

Not `concurrent.futures`: its threads are joined when the interpreter exits, so one hung call would keep a worker from ever leaving.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job:
    """One call on its way through the pool."""

    call: Callable[[], object]
    context: contextvars.Context
    done: asyncio.Future[Any]


class ThreadPool:
    """Runs calls in up to `size` threads, started as they are needed. `all_busy(flag)` is told when the last free one is taken."""

    def __init__(self, *, size: int, all_busy: Callable[[bool], None], loop: asyncio.AbstractEventLoop) -> None:
        self._size = size
        self._all_busy = all_busy
        self._loop = loop
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._busy = 0  # jobs given and not done: those past `size` wait

    async def run(self, call: Callable[[], object]) -> None:
        """Run `call` in a thread, in a copy of the caller's context; return or raise as it does."""
        job = _Job(call=call, context=contextvars.copy_context(), done=self._loop.create_future())
        self._busy += 1
        if self._busy > len(self._threads) and len(self._threads) < self._size:
            self._start_thread()
        if self._busy == self._size:
            self._all_busy(True)
        self._jobs.put(job)
        try:
            await job.done
        finally:
            # Each call that ends is a sign of life, also while others wait for its thread.
            if self._busy >= self._size:
                self._all_busy(False)
            self._busy -= 1
            if self._busy >= self._size:
                self._all_busy(True)

    def close(self) -> None:
        """Let idle threads end; a hung one is left behind."""
        for _ in self._threads:
            self._jobs.put(None)
        self._threads.clear()

    def _start_thread(self) -> None:
        thread = threading.Thread(target=self._work, name=f"request-{len(self._threads) + 1}", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            error: BaseException | None = None
            try:
                job.context.run(job.call)
            except BaseException as raised:  # noqa: BLE001 - it is the caller's
                error = raised
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                self._loop.call_soon_threadsafe(_settle, job.done, error)
            del job, error  # or they would live until the next job comes


def _settle(done: asyncio.Future[Any], error: BaseException | None) -> None:
    if done.done():
        return
    if error is None:
        done.set_result(None)
    elif isinstance(error, StopIteration):  # no future takes it
        done.set_exception(RuntimeError("the application raised StopIteration"))
    else:
        done.set_exception(error)
