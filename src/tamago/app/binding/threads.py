"""Sync handlers: a call in a thread of a bounded pool, in the caller's contextvars."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
from collections.abc import Callable
from typing import Any

from tamago.app.binding.contract import Threads


async def call_in_thread(threads: Threads, call: Callable[[], Any]) -> Any:
    """Return what `call` returns in a thread of the pool, awaited if it is an awaitable.

    When the caller is cancelled, a call that still waits for a thread is never made. One that runs cannot be stopped: it runs to its end,
    what it returns is dropped, and what it raises goes to the loop's exception handler.
    """
    value = await _Call(call).result(threads)
    return await value if inspect.isawaitable(value) else value


class _Call:
    """One call on its way through the pool."""

    __slots__ = ("_call", "_future", "_value")

    def __init__(self, call: Callable[[], Any]) -> None:
        self._call = call
        self._value: Any = None
        self._future: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def result(self, threads: Threads) -> Any:
        threads.submit(self._run, contextvars.copy_context(), self._done)
        await self._future
        return self._value

    def _run(self) -> None:
        if not self._future.cancelled():
            try:
                self._value = self._call()
            except StopIteration as error:
                # A future cannot carry it, as it would end the coroutine that awaits.
                raise RuntimeError("the handler raised StopIteration") from error

    def _done(self, error: BaseException | None) -> None:
        if self._future.cancelled():
            if inspect.iscoroutine(self._value):
                self._value.close()
            if error is not None:
                loop = self._future.get_loop()
                loop.call_exception_handler({"message": "a sync handler failed after its request was given up", "exception": error})
        elif error is not None:
            self._future.set_exception(error)
        else:
            self._future.set_result(None)
