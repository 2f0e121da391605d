from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import pytest
from tests.web.conftest import run  # noqa: F401 - the fixture

from tamago.cluster.task_stacks import task_stacks
from tamago.server.first_step import at_once, later

Begin = Callable[[Coroutine[Any, Any, None]], "asyncio.Task[None]"]
Scenario = Callable[[Begin], Awaitable[None]]


@pytest.fixture
def outside(run: Any) -> Callable[[Scenario], None]:  # noqa: F811
    """Runs a scenario that can begin coroutines from a callback of the loop, where no task is current, as a connection does."""

    def play(scenario: Scenario) -> None:
        async def main() -> None:
            loop = asyncio.get_running_loop()
            tasks: list[asyncio.Task[None]] = []

            def begin(coro: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
                me = asyncio.current_task()
                assert me is not None
                asyncio._leave_task(loop, me)
                try:
                    tasks.append(at_once(coro, loop, contextvars.copy_context()))
                    assert asyncio.current_task() is None
                finally:
                    asyncio._enter_task(loop, me)
                return tasks[-1]

            await scenario(begin)

        run(main())

    return play


def test_what_never_waits_is_over_at_once(outside: Any) -> None:
    async def scenario(begin: Begin) -> None:
        steps = []
        others = asyncio.all_tasks()

        async def short() -> None:
            steps.append("begun")

        task = begin(short())
        assert steps == ["begun"]
        assert asyncio.all_tasks() == others
        await task
        assert task.done()

    outside(scenario)


def test_the_current_task_is_one_and_the_same_all_the_way(outside: Any) -> None:
    async def scenario(begin: Begin) -> None:
        seen: list[asyncio.Task[Any] | None] = []

        async def long() -> None:
            seen.append(asyncio.current_task())
            await asyncio.sleep(0)
            seen.append(asyncio.current_task())
            await asyncio.sleep(0)
            seen.append(asyncio.current_task())

        task = begin(long())
        assert isinstance(task, asyncio.Task)
        assert not task.done()
        await task
        assert seen == [task] * 3

    outside(scenario)


def test_a_task_that_was_looked_at_in_its_first_step_is_one_like_any_other(outside: Any) -> None:
    async def scenario(begin: Begin) -> None:
        done: list[object] = []

        async def curious() -> None:
            task = asyncio.current_task()
            assert task is not None
            assert task.get_name() == "request"
            assert not task.done()
            assert task in asyncio.all_tasks()
            assert task.get_loop() is asyncio.get_running_loop()
            task.add_done_callback(done.append)

        task = begin(curious())
        await task
        await asyncio.sleep(0)  # callbacks come in a turn of their own, and who waits for what is over does not wait
        assert done == [task]
        assert task.result() is None

    outside(scenario)


def test_it_says_what_it_is_and_where_it_waits(outside: Any) -> None:
    async def scenario(begin: Begin) -> None:
        said = []
        gate = asyncio.get_running_loop().create_future()

        async def talkative() -> None:
            said.append(repr(asyncio.current_task()))
            await gate

        task = begin(talkative())
        assert "pending name='request'" in said[0]
        assert "talkative" in repr(task)
        assert "await gate" in "".join(task_stacks())
        gate.set_result(None)
        await task

    outside(scenario)


def test_it_has_one_context_of_its_own(outside: Any) -> None:
    async def scenario(begin: Begin) -> None:
        variable = contextvars.ContextVar("variable", default="outside")
        seen = []

        async def keeper() -> None:
            variable.set("inside")
            await asyncio.sleep(0)
            seen.append(variable.get())

        task = begin(keeper())
        assert variable.get() == "outside"
        await task
        assert seen == ["inside"]

    outside(scenario)


def test_a_timeout_set_in_the_first_step_ends_its_wait(outside: Any) -> None:
    async def scenario(begin: Begin) -> None:
        ended = []

        async def patient() -> None:
            try:
                async with asyncio.timeout(0.001):
                    await asyncio.Event().wait()
            except TimeoutError:
                ended.append("timeout")

        await begin(patient())
        assert ended == ["timeout"]

    outside(scenario)


def test_a_group_begun_in_the_first_step_cancels_with_its_parent(outside: Any) -> None:
    async def scenario(begin: Begin) -> None:
        ended = []

        async def child() -> None:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                ended.append("child")
                raise

        async def parent() -> None:
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(child())
            except asyncio.CancelledError:
                ended.append("parent")
                raise

        task = begin(parent())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert ended == ["child", "parent"]

    outside(scenario)


def test_cancelled_before_its_second_step_it_cancels_what_it_waits_for(outside: Any) -> None:
    async def scenario(begin: Begin) -> None:
        awaited = asyncio.get_running_loop().create_future()
        heard: list[object] = []

        async def waits() -> None:
            try:
                await awaited
            except asyncio.CancelledError as error:
                heard.extend(error.args)

        task = begin(waits())
        task.cancel("enough")
        await task
        assert awaited.cancelled()
        assert heard == ["enough"]

    outside(scenario)


def test_cancelled_before_its_second_step_it_leaves_alone_what_is_done_or_nothing(outside: Any) -> None:
    async def scenario(begin: Begin) -> None:
        awaited = asyncio.get_running_loop().create_future()

        async def waits() -> None:
            await awaited

        async def yields() -> None:
            await asyncio.sleep(0)

        tasks = [begin(waits()), begin(yields())]
        awaited.set_result(1)
        for task in tasks:
            task.cancel()
        for task in tasks:
            with pytest.raises(asyncio.CancelledError):
                await task
        assert awaited.result() == 1

    outside(scenario)


@pytest.mark.parametrize("waits", [True, False])
def test_what_cancels_itself_in_its_first_step_hears_of_it_at_its_next_wait(outside: Any, waits: bool) -> None:
    async def scenario(begin: Begin) -> None:
        passed = []

        async def suicidal() -> None:
            task = asyncio.current_task()
            assert task is not None
            task.cancel()
            passed.append("cancel")
            if waits:
                await asyncio.sleep(0)
                passed.append("sleep")

        task = begin(suicidal())
        with pytest.raises(asyncio.CancelledError):
            await task
        assert passed == ["cancel"]

    outside(scenario)


def test_what_is_awaited_may_end_before_the_second_step(outside: Any) -> None:
    async def scenario(begin: Begin) -> None:
        results = []
        future = asyncio.get_running_loop().create_future()
        failing = asyncio.get_running_loop().create_future()

        async def waits() -> None:
            results.append(await future)
            try:
                await failing
            except LookupError:
                results.append("failed")

        task = begin(waits())
        future.set_result("result")
        failing.set_exception(LookupError())
        await task
        assert results == ["result", "failed"]

    outside(scenario)


def test_inside_of_another_task_it_comes_later(run: Any) -> None:  # noqa: F811
    async def main() -> None:
        steps = []

        async def other() -> None:
            steps.append(asyncio.current_task())

        loop = asyncio.get_running_loop()
        tasks = [begin(other(), loop, contextvars.copy_context()) for begin in (at_once, later)]
        assert not steps
        await asyncio.gather(*tasks)
        assert steps == tasks

    run(main())
