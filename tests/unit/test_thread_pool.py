"""The pool of threads: as many as there is work for, each call done once, and the loop told of it in order."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable, Iterator

import pytest

from tamago.thread_pool import ThreadPool

Busy = list[bool]


@pytest.fixture
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


def request_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("request-")]


async def run(pool: ThreadPool, call: Callable[[], object]) -> BaseException | None:
    done: asyncio.Future[BaseException | None] = asyncio.get_running_loop().create_future()
    pool.submit(call, contextvars.copy_context(), done.set_result)
    return await done


def pool_of(size: int, busy: Busy | None = None) -> ThreadPool:
    return ThreadPool(size=size, all_busy=(busy if busy is not None else []).append, loop=asyncio.get_running_loop())


def test_each_of_many_calls_is_made_once_and_its_error_comes_back(runner: asyncio.Runner) -> None:
    async def main() -> None:
        pool = pool_of(4)
        made: list[int] = []

        def call(number: int) -> None:
            made.append(number)
            if number % 100 == 0:
                raise ZeroDivisionError(str(number))

        errors = await asyncio.gather(*(run(pool, lambda number=number: call(number)) for number in range(1000)))  # type: ignore[misc]
        assert sorted(made) == list(range(1000))
        assert [str(error) for error in errors if error is not None] == [str(number) for number in range(0, 1000, 100)]
        pool.close()

    runner.run(main())


def test_calls_that_wait_for_each_other_are_in_threads_at_the_same_time(runner: asyncio.Runner) -> None:
    async def main() -> None:
        busy: Busy = []
        pool = pool_of(8, busy)
        together = threading.Barrier(8, timeout=20)
        assert await asyncio.gather(*(run(pool, together.wait) for _ in range(8))) == [None] * 8
        assert busy == [True, False]
        pool.close()

    runner.run(main())


def test_what_a_thread_tells_the_loop_comes_in_order_and_before_the_end_of_its_call(runner: asyncio.Runner) -> None:
    async def main() -> None:
        pool = pool_of(1)
        told: list[object] = []

        def call() -> None:
            for number in range(100):
                pool.tell_loop(told.append, number)

        await run(pool, call)
        assert told == list(range(100))
        pool.close()

    runner.run(main())


def test_a_closed_pool_lets_its_threads_end(runner: asyncio.Runner) -> None:
    async def main() -> None:
        before = set(request_threads())
        pool = pool_of(3)
        together = threading.Barrier(3, timeout=20)
        await asyncio.gather(*(run(pool, together.wait) for _ in range(3)))
        threads = set(request_threads()) - before
        assert len(threads) == 3
        pool.close()
        for thread in threads:
            thread.join()

    runner.run(main())


def test_a_call_that_ends_after_its_loop_is_nobodys_trouble(runner: asyncio.Runner) -> None:
    release, ended = threading.Event(), threading.Event()

    def call() -> None:
        release.wait()
        ended.set()

    async def main() -> None:
        pool = pool_of(1)
        pool.submit(call, contextvars.copy_context(), lambda error: None)
        pool.close()

    runner.run(main())
    (thread,) = request_threads()[-1:]
    runner.close()
    release.set()
    assert ended.wait()
    thread.join()
