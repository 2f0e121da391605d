from __future__ import annotations

import asyncio
import inspect
import subprocess
import sys
import threading

import pytest

from tamago.ready import Ready


class BootError(Exception):
    pass


def test_callbacks_wait_and_run_in_order() -> None:
    ready, calls = Ready(), list[str]()
    ready(lambda: calls.append("first"))
    ready(lambda: calls.append("second"))
    assert calls == []
    ready.set()
    assert calls == ["first", "second"]


def test_a_callback_that_comes_late_is_called_at_once() -> None:
    ready, calls = Ready(), list[str]()
    ready.set()
    ready(lambda: calls.append("late"))
    assert calls == ["late"]


def test_each_callback_runs_once_however_often_it_becomes_ready() -> None:
    ready, calls = Ready(), list[int]()
    ready(lambda: calls.append(1))
    ready.set()
    ready.set()
    ready.reset()
    ready.set()
    assert calls == [1]


def test_after_a_reset_callbacks_wait_again() -> None:
    ready, calls = Ready(), list[int]()
    ready.set()
    ready.reset()
    assert not ready.is_ready
    ready(lambda: calls.append(1))
    assert calls == []
    ready.set()
    assert calls == [1]


def test_a_callback_with_a_parameter_gets_the_error_before_and_after() -> None:
    ready, error, calls = Ready(), BootError("no database"), list[Exception | None]()
    ready(calls.append)
    ready.fail(error)
    ready(calls.append)
    assert calls == [error, error]
    assert ready.error is error
    assert not ready.is_ready


def test_a_callback_with_a_parameter_gets_none_when_all_is_well() -> None:
    ready, calls = Ready(), list[Exception | None]()
    ready(calls.append)
    ready.set()
    assert calls == [None]


def test_a_callback_without_a_required_parameter_is_not_called_on_an_error() -> None:
    ready, calls = Ready(), list[object]()
    ready(lambda: calls.append("plain"))
    ready(lambda tag="default": calls.append(tag))
    ready.fail(BootError())
    assert calls == []
    ready.set()
    assert calls == []  # they were dequeued by the failure


def test_a_callback_that_raises_does_not_keep_the_next_one_waiting(caplog: pytest.LogCaptureFixture) -> None:
    ready, calls = Ready(), list[int]()

    def broken() -> None:
        raise RuntimeError("mine")

    ready(broken)
    ready(lambda: calls.append(1))
    ready.set()
    assert calls == [1]
    assert "mine" in caplog.text


def test_a_callback_may_register_another() -> None:
    ready, calls = Ready(), list[str]()
    ready(lambda: ready(lambda: calls.append("inner")))
    ready.set()
    assert calls == ["inner"]


def test_instances_are_separate() -> None:
    one, other = Ready(), Ready()
    one.set()
    assert one.is_ready
    assert not other.is_ready


def test_a_coroutine_function_is_refused_with_advice() -> None:
    async def callback() -> None: ...

    with pytest.raises(TypeError, match="await ready"):
        Ready()(callback)


def test_awaiting_returns_when_it_becomes_ready() -> None:
    async def scenario() -> list[str]:
        ready, order = Ready(), list[str]()

        async def wait(name: str) -> None:
            await ready()
            order.append(name)

        async with asyncio.TaskGroup() as group:
            group.create_task(wait("a"))
            group.create_task(wait("b"))
            await asyncio.sleep(0)
            order.append("set")
            ready.set()
        await ready()
        return order

    assert asyncio.run(scenario()) == ["set", "a", "b"]


def test_awaiting_raises_the_error_before_and_after() -> None:
    async def scenario() -> None:
        ready = Ready()

        async def wait() -> None:
            await ready()

        waiting = asyncio.get_running_loop().create_task(wait())
        await asyncio.sleep(0)
        ready.fail(BootError("no"))
        with pytest.raises(BootError):
            await waiting
        with pytest.raises(BootError):
            await ready()

    asyncio.run(scenario())


def test_a_cancelled_waiter_is_forgotten() -> None:
    async def scenario() -> None:
        ready = Ready()

        async def wait() -> None:
            await ready()

        with pytest.raises(TimeoutError):
            await asyncio.wait_for(wait(), timeout=0)
        task = asyncio.get_running_loop().create_task(wait())
        await asyncio.sleep(0)
        assert len(ready._waiters) == 1
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert ready._waiters == []
        ready.set()

    asyncio.run(scenario())


def test_it_may_be_set_from_another_thread() -> None:
    async def scenario() -> None:
        ready = Ready()
        thread = threading.Thread(target=ready.set)
        waiting = ready()
        thread.start()
        await waiting
        thread.join()

    asyncio.run(scenario())


def test_importing_it_loads_no_event_loop() -> None:
    # By its path: the package itself, which names an instance `ready` as well, may import more.
    load = f"import runpy, sys; runpy.run_path({inspect.getfile(Ready)!r})"
    code = f"{load}; print([name for name in ('asyncio', 'logging', 'inspect') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
