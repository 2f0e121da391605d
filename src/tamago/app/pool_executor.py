"""A pool of our threads for code that asks for an executor (`loop.run_in_executor`)."""

from __future__ import annotations

import contextvars
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tamago.thread_pool import ThreadPool


class PoolExecutor(Executor):
    """Gives calls to a pool. Unlike the threads of `ThreadPoolExecutor`, one that hangs does not keep the process from its end."""

    def __init__(self, pool: ThreadPool) -> None:
        self._pool = pool

    def submit(self, call: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Run a call in a thread. Called in the loop."""
        future: Future[Any] = Future()

        def run() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                result = call(*args, **kwargs)
            except BaseException as error:  # noqa: BLE001 - it is the caller's
                future.set_exception(error)
            else:
                future.set_result(result)

        self._pool.submit(run, contextvars.copy_context(), lambda _: None)
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: ARG002 - an Executor's
        """Let idle threads end; nothing is waited for."""
        self._pool.close()
