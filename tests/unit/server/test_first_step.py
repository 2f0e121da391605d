from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Awaitable, Callable, Generator
from typing import Any

import pytest
from tests.web.conftest import run  # noqa: F401 - the fixture

from tamago.cluster.task_stacks import task_stacks
from tamago.server.first_step import Starter, later


class Errand:
    """Work that notes how it ended."""

    def __init__(self, awaitable: Awaitable[None]) -> None:
        self._awaitable = awaitable
        self.ends: list[BaseException | None] = []
        self.task: asyncio.Task[None] | None = None  # what goes on with it

    def handle(self) -> Awaitable[None]:
        return self._awaitable

    def over(self, error: BaseException | None) -> None:
        self.ends.append(error)

    async def ended(self) -> BaseException | None:
        """Return how it ended, once it has."""
        if self.task is not None:
            await self.task
        (end,) = self.ends
        return end

    def cancel(self, message: str = "") -> None:
        assert self.task is not None
        self.task.cancel(message)


Begin = Callable[..., Errand]
Scenario = Callable[[Begin], Awaitable[None]]


@pytest.fixture
def outside(run: Any) -> Callable[[Scenario], None]:  # noqa: F811
    """Runs a scenario that can begin coroutines from a callback of the loop, where no task is current, as a connection does."""

    def play(scenario: Scenario) -> None:
        async def main() -> None:
            loop = asyncio.get_running_loop()

            starter = Starter(loop)

            def begin(awaitable: Awaitable[None], kind: type[Errand] = Errand) -> Errand:
                me = asyncio.current_task()
                assert me is not None
                errand = kind(awaitable)
                asyncio._leave_task(loop, me)
                try:
                    errand.task = starter.at_once(errand, contextvars.copy_context())
                    assert asyncio.current_task() is None
                finally:
                    asyncio._enter_task(loop, me)
                return errand

            await scenario(begin)

        run(main())

    return play


def test_what_never_waits_is_over_at_once(outside: Any) -> None:
    async def scenario(begin: Begin) -> None:
        steps = []
        others = asyncio.all_tasks()

        async def short() -> None:
            steps.append("begun")

        errand = begin(short())
        assert steps == ["begun"]
        assert errand.ends == [None]
        assert errand.task is None
        assert asyncio.all_tasks() == others

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

        errand = begin(long())
        assert isinstance(errand.task, asyncio.Task)
        assert not errand.task.done()
        assert await errand.ended() is None
        assert seen == [errand.task] * 3

    outside(scenario)


def test_a_task_that_was_looked_at_in_its_first_step_is_one_like_any_other(outside: Any) -> None:
    async def scenario(begin: Begin) -> None:
        done: list[asyncio.Task[None]] = []

        async def curious() -> None:
            task = asyncio.current_task()
            assert task is not None
            assert task.get_name() == "request"
            assert not task.done()
            assert task in asyncio.all_tasks()
            assert task.get_loop() is asyncio.get_running_loop()
            task.add_done_callback(done.append)

        errand = begin(curious())
        assert errand.ends == [None]
        assert errand.task is None
        await asyncio.sleep(0)  # the task learns of it in the next turn, and tells others in the one after that
        await asyncio.sleep(0)
        assert [task.result() for task in done] == [None]

    outside(scenario)


def test_it_says_what_it_is_and_where_it_waits(outside: Any) -> None:
    async def scenario(begin: Begin) -> None:
        said = []
        gate = asyncio.get_running_loop().create_future()

        async def talkative() -> None:
            said.append(repr(asyncio.current_task()))
            await gate

        errand = begin(talkative())
        assert "pending name='request'" in said[0]
        stacks = "".join(task_stacks())
        assert "talkative" in stacks
        assert "await gate" in stacks
        gate.set_result(None)
        await errand.ended()

    outside(scenario)


def test_it_has_one_context_of_its_own(outside: Any) -> None:
    async def scenario(begin: Begin) -> None:
        variable = contextvars.ContextVar("variable", default="outside")
        seen = []

        async def keeper() -> None:
            variable.set("inside")
            await asyncio.sleep(0)
            seen.append(variable.get())

        errand = begin(keeper())
        assert variable.get() == "outside"
        await errand.ended()
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

        await begin(patient()).ended()
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

        errand = begin(parent())
        await asyncio.sleep(0)
        errand.cancel()
        assert isinstance(await errand.ended(), asyncio.CancelledError)
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

        errand = begin(waits())
        errand.cancel("enough")
        await errand.ended()
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

        errands = [begin(waits()), begin(yields())]
        awaited.set_result(1)
        for errand in errands:
            errand.cancel()
        for errand in errands:
            assert isinstance(await errand.ended(), asyncio.CancelledError)
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

        errand = begin(suicidal())
        assert isinstance(await errand.ended(), asyncio.CancelledError) == waits
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

        errand = begin(waits())
        future.set_result("result")
        failing.set_exception(LookupError())
        await errand.ended()
        assert results == ["result", "failed"]

    outside(scenario)


def test_what_begins_later_has_a_task_of_its_own(run: Any) -> None:  # noqa: F811
    async def main() -> None:
        steps = []

        async def work() -> None:
            steps.append(asyncio.current_task())

        task = later(Errand(work()), asyncio.get_running_loop(), contextvars.copy_context())
        assert not steps
        await task
        assert steps == [task]

    run(main())


@pytest.mark.parametrize("waits", [True, False])
@pytest.mark.parametrize("error", [GeneratorExit, KeyboardInterrupt, SystemExit, asyncio.CancelledError])
def test_whatever_is_raised_is_told_and_the_next_begins(outside: Any, error: type[BaseException], waits: bool) -> None:
    async def scenario(begin: Begin) -> None:
        async def fails() -> None:
            if waits:
                await asyncio.sleep(0)
            raise error

        async def succeeds() -> None:
            pass

        errand = begin(fails())
        assert isinstance(await errand.ended(), error)
        assert await begin(succeeds()).ended() is None

    outside(scenario)


@pytest.mark.parametrize("waits", [True, False])
def test_an_error_is_told_within_the_task_and_its_context(outside: Any, waits: bool) -> None:
    async def scenario(begin: Begin) -> None:
        variable = contextvars.ContextVar("variable", default="outside")
        told: list[object] = []

        async def fails() -> None:
            variable.set("inside")
            told.append(asyncio.current_task())
            if waits:
                await asyncio.sleep(0)
            raise LookupError

        class Failing(Errand):
            def over(self, error: BaseException | None) -> None:
                super().over(error)
                told.extend([asyncio.current_task(), variable.get()])

        errand = begin(fails(), Failing)
        assert isinstance(await errand.ended(), LookupError)
        assert told[0] is told[1] is not None
        assert told[2] == "inside"

    outside(scenario)


def test_work_may_be_any_awaitable(outside: Any) -> None:
    async def scenario(begin: Begin) -> None:
        class Twice:
            def __await__(self) -> Generator[None, None, None]:
                yield
                yield

        future = asyncio.get_running_loop().create_future()
        waiting = begin(future)
        future.set_result(None)
        for errand in (begin(Twice()), waiting):
            assert errand.task is not None
            assert await errand.ended() is None

    outside(scenario)


@pytest.mark.parametrize("nothing", [None, 3])
def test_what_cannot_be_awaited_is_said_to_be_none(outside: Any, nothing: Any) -> None:
    async def scenario(begin: Begin) -> None:
        end = await begin(nothing).ended()
        assert isinstance(end, TypeError)
        assert "await" in str(end)

    outside(scenario)
