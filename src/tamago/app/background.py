"""Work that goes on beside or after a request, and that the process waits for before it ends."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from contextlib import suppress
from time import perf_counter
from typing import TYPE_CHECKING, Any

from tamago.app.current import current
from tamago.app.errors import ExitError

if TYPE_CHECKING:
    from tamago.app.context import Context
    from tamago.app.events import Events

Work = Callable[["Context"], Awaitable[object]]


class BackgroundTasks:
    """Every task in the background of one application.

    `log` returns the logger to use at that moment; a failure is logged, and told as `error`.
    """

    def __init__(self, events: Events, log: Callable[[], Any]) -> None:
        self._events = events
        self._log = log
        self._running: set[asyncio.Task[None]] = set()
        self.loop: asyncio.AbstractEventLoop | None = None
        """Where work begins that a thread asks for; there once the application starts."""

    def __len__(self) -> int:
        return len(self._running)

    def run(self, work: Work, ctx: Context, *, name: str = "") -> None:
        """Begin `await work(ctx)`, with `ctx` as the current context. `name` is for the log; by default it is the function's.

        May be called in a thread, as by a handler that is a plain function.

        Raises TypeError for what is no function, such as the coroutine that calling one returned.
        """
        if not callable(work):
            if inspect.iscoroutine(work):
                work.close()
            raise TypeError(f"{work!r} is nothing to run in the background: give the function itself, not what it returned")
        ctx.goes_on = True
        label = name or getattr(work, "__qualname__", type(work).__qualname__)
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            if self.loop is None:
                raise
            # Before the loop hears that the thread is through: so the task is there, and waited for, when its request ends.
            self.loop.call_soon_threadsafe(self._begin, self.loop, work, ctx, label)
        else:
            self._begin(loop, work, ctx, label)

    def _begin(self, loop: asyncio.AbstractEventLoop, work: Work, ctx: Context, label: str) -> None:
        task = loop.create_task(self._watch(work, ctx, label), name=f"background {label}")
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def finished(self) -> None:
        """Wait until all are done, also those that begin meanwhile."""
        while self._running:
            await asyncio.wait(self._running)

    async def drain(self, timeout: float) -> None:  # noqa: ASYNC109 - late tasks are cancelled and named, not just left
        """Wait until all are done, also those that begin meanwhile; after `timeout` seconds cancel the rest, and name them in the log."""
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(timeout):
                    await self.finished()
        finally:  # also when nobody waits for this any more
            late = list(self._running)
            for task in late:
                self._log().warning("%s is not done after %gs and is cancelled", task.get_name(), timeout)
                task.cancel()
        if late:
            await asyncio.wait(late, timeout=timeout)  # one that refuses to be cancelled keeps no process from ending

    async def _watch(self, work: Work, ctx: Context, label: str) -> None:
        current.set(ctx)
        began = perf_counter()
        try:
            try:
                await _call(work, ctx, label)
            except SystemExit as exit_:
                raise ExitError(exit_) from exit_  # out of a task it would end the loop, and the worker with it
        except Exception as error:  # noqa: BLE001 - logged by whatever logger it is
            self._log().exception("[background] task %s fail (%dms)", label, (perf_counter() - began) * 1000)
            self._events.emit("error", error, ctx)
        else:
            self._log().info("[background] task %s success (%dms)", label, (perf_counter() - began) * 1000)


def _call(work: Work, ctx: Context, label: str) -> Awaitable[object]:
    begun = work(ctx)
    if not inspect.isawaitable(begun):
        raise TypeError(f"{label} is a plain function: write async def, and in it await asyncio.to_thread(…) for what blocks")
    return begun
