from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from tests.unit.app.binding.fakes import FakeApp, FakeContext, FakeRoute, OneThreadEach

from tamago.app.binding import compile_handler
from tamago.core.context_class import Controller
from tamago.thread_pool import ThreadPool

who: contextvars.ContextVar[str] = contextvars.ContextVar("who", default="nobody")


@pytest.fixture
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


class ReportController(Controller):
    def show(self, number: int) -> tuple[int, str, str]:
        return number, who.get(), threading.current_thread().name

    def fail(self) -> None:
        raise ValueError("a bug")

    def stop(self) -> None:
        raise StopIteration

    def later(self) -> Any:
        async def answer() -> str:
            return threading.current_thread().name

        return answer()


async def answer(app: FakeApp, handler: Any, ctx: FakeContext) -> Any:
    await compile_handler(FakeRoute(handler=handler), app=app).endpoint(ctx)
    return ctx.body


def test_a_sync_handler_runs_in_a_thread_with_the_callers_context(runner: asyncio.Runner) -> None:
    async def main() -> Any:
        who.set("me")
        return await answer(FakeApp(), ReportController.show, FakeContext(query="number=3"))

    number, name, thread = runner.run(main())
    assert (number, name) == (3, "me")
    assert thread != threading.main_thread().name


def test_the_pool_of_the_server_half_runs_them(runner: asyncio.Runner) -> None:
    async def main() -> Any:
        pool = ThreadPool(size=1, all_busy=lambda _: None, loop=asyncio.get_running_loop())
        app = FakeApp()
        app.threads = pool  # type: ignore[assignment]
        try:
            return await asyncio.gather(
                *(answer(app, ReportController.show, FakeContext(query=f"number={number}")) for number in range(50))
            )
        finally:
            pool.close()

    assert [number for number, _, _ in runner.run(main())] == list(range(50))


def test_what_a_sync_handler_raises_comes_through(runner: asyncio.Runner) -> None:
    with pytest.raises(ValueError, match="a bug"):
        runner.run(answer(FakeApp(), ReportController.fail, FakeContext()))
    with pytest.raises(RuntimeError, match="StopIteration"):
        runner.run(answer(FakeApp(), ReportController.stop, FakeContext()))


def test_an_awaitable_that_a_sync_handler_returns_is_awaited_in_the_loop(runner: asyncio.Runner) -> None:
    assert runner.run(answer(FakeApp(), ReportController.later, FakeContext())) == threading.main_thread().name


def test_a_call_that_waits_for_a_thread_is_not_made_once_its_request_is_given_up(runner: asyncio.Runner) -> None:
    called = []

    def handler() -> None:
        called.append(1)

    async def main() -> None:
        pool = OneThreadEach()
        pool.hold = True
        task = asyncio.create_task(answer(FakeApp(threads=pool), handler, FakeContext()))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        (start,) = pool.held
        start()
        await asyncio.to_thread(pool.join)

    runner.run(main())
    assert not called


@pytest.mark.parametrize("fails", [False, True])
def test_a_call_that_runs_when_its_request_is_given_up_ends_by_itself_and_its_error_is_not_lost(
    runner: asyncio.Runner, fails: bool
) -> None:
    began, go_on = threading.Event(), threading.Event()
    reported: list[dict[str, Any]] = []

    async def never() -> None:
        raise AssertionError

    def handler() -> Any:
        began.set()
        go_on.wait()
        if fails:
            raise OSError("too late")
        return never()

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context))
        pool = OneThreadEach()
        ctx = FakeContext()
        task = asyncio.create_task(answer(FakeApp(threads=pool), handler, ctx))
        await asyncio.to_thread(began.wait)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        go_on.set()
        await asyncio.to_thread(pool.join)
        await asyncio.sleep(0)
        assert ctx.body is None

    runner.run(main())
    assert [str(context["exception"]) for context in reported] == (["too late"] if fails else [])
