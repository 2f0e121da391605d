"""Begins work at once, in the stack of whoever begins it: most requests need no second step, and so no turn of the loop.

Python 3.12 has eager tasks. For 3.11, what is the current task during the first step becomes a task proper only if somebody looks at it,
or if there is a second step. Nobody can tell: it is one object all the way, and one context.
"""

from __future__ import annotations

import asyncio
import contextvars
import sys
from collections.abc import Awaitable, Callable, Coroutine, Generator
from types import CoroutineType
from typing import Any, Protocol

_NAME = "request"


class Work(Protocol):
    """What can be begun."""

    def handle(self) -> Awaitable[object]:
        """Return what does the work."""

    def over(self, error: BaseException | None) -> None:
        """Hear that it has ended, with this error or without one. Called once, within the same context and task."""


async def _whole(work: Work) -> None:
    try:
        await work.handle()
    except BaseException as error:  # noqa: BLE001 - also SystemExit: one request must not end the worker
        work.over(error)
    else:
        work.over(None)


def later(work: Work, loop: asyncio.AbstractEventLoop, context: contextvars.Context) -> asyncio.Task[None]:
    """Have the loop begin it."""
    # Made directly and with a name: `create_task` would format one for each.
    return asyncio.Task(_whole(work), loop=loop, name=_NAME, context=context)


if sys.version_info >= (3, 12):

    def at_once(work: Work, loop: asyncio.AbstractEventLoop, context: contextvars.Context) -> asyncio.Task[None] | None:
        """Begin it; but from inside another task only later, so that neither runs in the middle of the other.

        Returns the task that goes on with it, None if nothing is left to do.
        """
        task = asyncio.Task(_whole(work), loop=loop, name=_NAME, context=context, eager_start=asyncio.current_task(loop) is None)
        return None if task.done() else task

else:
    from asyncio.tasks import _current_tasks  # type: ignore[attr-defined]  # what `_enter_task` and `_leave_task` write to, at twice the cost

    class _Rest(Coroutine[Any, Any, None]):
        """What is left of some work after its first step, for a task to go through: nothing, unless `goes_on` says so."""

        __slots__ = ("_begun", "_coro", "_first", "_work")

        def __init__(self) -> None:
            self._begun = False
            self._coro: Coroutine[Any, Any, object] | None = None
            self._first: Any = None  # what the first step ended at an `await` of
            self._work: Work | None = None

        def goes_on(self, work: Work, coro: Coroutine[Any, Any, object], first: Any) -> None:
            self._work, self._coro, self._first = work, coro, first

        def send(self, value: Any) -> Any:
            coro = self._coro
            if coro is None:
                raise StopIteration
            if self._begun:
                return self._step(coro.send, value)
            self._begun = True
            return self._first

        def throw(self, error: Any, *rest: Any) -> Any:
            coro = self._coro
            if coro is None:
                raise error  # it cancelled itself
            if not self._begun:
                self._begun = True
                # Cancelled in between. For any task that means what it waits for, and the task only if that can't be.
                cancel = getattr(self._first, "cancel", None)
                if cancel is not None and cancel(*error.args):
                    return self._first
            return self._step(coro.throw, error, *rest)

        def _step(self, step: Callable[..., Any], *values: Any) -> Any:
            try:
                return step(*values)
            except StopIteration:
                self._work.over(None)  # type: ignore[union-attr]  # there is some where there is a coroutine
                raise
            except BaseException as error:  # noqa: BLE001 - as above
                self._work.over(error)  # type: ignore[union-attr]
            raise StopIteration

        def close(self) -> None:
            if self._coro is not None:
                self._coro.close()

        def __await__(self) -> Any:
            raise NotImplementedError

        def __getattr__(self, name: str) -> Any:
            return getattr(self._coro, name)  # such as cr_frame, for who shows where a task waits

    class _Task(asyncio.Task[None]):
        __slots__ = ("place", "rest")

        place: tuple[asyncio.AbstractEventLoop, contextvars.Context]
        rest: _Rest

    class _FirstStep(_Task):
        """The current task of a first step. It is not initialised; any look at it does that."""

        __slots__ = ()

        def __getattribute__(self, name: str) -> Any:
            return getattr(_proper(self), name)

        # Python does not look for these as it looks for others.
        def __repr__(self) -> str:
            return repr(_proper(self))

        def __await__(self) -> Generator[Any, None, None]:
            return _proper(self).__await__()

    def _proper(task: _Task) -> _Task:
        """Make it a task like any other."""
        task.__class__ = _Task
        loop, context = task.place
        task.rest = _Rest()
        asyncio.Task.__init__(task, task.rest, loop=loop, name=_NAME, context=context)
        return task

    _new = _FirstStep.__new__
    _OVER = object()

    def at_once(work: Work, loop: asyncio.AbstractEventLoop, context: contextvars.Context) -> asyncio.Task[None] | None:
        """Begin it; but from inside another task only later, so that neither runs in the middle of the other.

        Returns the task that goes on with it, None if nothing is left to do.
        """
        if loop in _current_tasks:
            return later(work, loop, context)
        _current_tasks[loop] = task = _new(_FirstStep)
        task.place = (loop, context)
        try:
            return context.run(_first_step, work, task)
        finally:
            del _current_tasks[loop]

    def _first_step(work: Work, task: _Task) -> _Task | None:
        try:
            coro = work.handle()
            if type(coro) is not CoroutineType:
                coro = _awaiting(coro)
            # As an iterator it says that it has ended without raising anything, which would take as long again.
            first = next(coro.__await__(), _OVER)
        except BaseException as error:  # noqa: BLE001 - as above
            work.over(error)
            return None
        if first is _OVER:
            work.over(None)
            return None
        task.rest.goes_on(work, coro, first)
        return task

    async def _awaiting(awaitable: Awaitable[object]) -> None:
        await awaitable
