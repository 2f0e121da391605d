"""A pool of threads as an executor."""

from __future__ import annotations

import asyncio
import contextvars
import threading

import pytest

from tamago.app.pool_executor import PoolExecutor
from tamago.thread_pool import ThreadPool

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def executor(size: int) -> PoolExecutor:
    return PoolExecutor(ThreadPool(size=size, all_busy=lambda _: None, loop=asyncio.get_running_loop()))


async def test_what_a_call_returns_and_raises_comes_back_from_a_thread() -> None:
    loop, mine = asyncio.get_running_loop(), contextvars.ContextVar("mine", default=0)
    mine.set(7)
    with executor(1) as threads:
        assert await loop.run_in_executor(threads, lambda: (mine.get(), threading.current_thread().name)) == (7, "request-1")
        assert await asyncio.wrap_future(threads.submit(max, 1, 2, key=abs)) == 2
        with pytest.raises(ZeroDivisionError):
            await loop.run_in_executor(threads, lambda: 1 / 0)


async def test_a_call_given_up_while_it_waits_for_a_thread_is_never_made() -> None:
    loop, gate, made = asyncio.get_running_loop(), threading.Event(), list[int]()
    with executor(1) as threads:
        first = loop.run_in_executor(threads, gate.wait, 20)
        second, third = (loop.run_in_executor(threads, made.append, number) for number in (2, 3))
        second.cancel()
        await asyncio.sleep(0)  # the loop passes it on
        gate.set()
        await first
        await third
    assert made == [3]
