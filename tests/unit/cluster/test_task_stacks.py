"""The dump of the tasks names the innermost await, not only the outermost."""

import asyncio

from tamago.cluster.task_stacks import task_stacks


def test_a_task_shows_the_whole_chain_of_awaits() -> None:
    async def dump_one_that_waits() -> str:
        entered = asyncio.Event()
        never: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        async def inner() -> None:
            entered.set()
            await never

        async def outer() -> None:
            await inner()

        task = asyncio.get_running_loop().create_task(outer(), name="the outer one")
        await entered.wait()
        (text,) = task_stacks()
        task.cancel()
        await asyncio.wait([task])
        return text

    text = asyncio.run(dump_one_that_waits())
    assert text.startswith("task 'the outer one':")
    assert text.index("in outer") < text.index("in inner")
    assert "await never" in text


def test_the_task_that_asks_is_left_out() -> None:
    async def dump_alone() -> list[str]:
        return list(task_stacks())

    assert asyncio.run(dump_alone()) == []
