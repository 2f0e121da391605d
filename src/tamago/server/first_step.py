"""Begins a coroutine at once, in the stack of whoever begins it: most requests need no second step, and so no turn of the loop.

Python 3.12 has eager tasks. For 3.11, what is the current task during the first step becomes a task proper only if somebody looks at it,
or if there is a second step. Nobody can tell: it is one object all the way, and one context.
"""

from __future__ import annotations

import asyncio
import contextvars
import sys
from collections.abc import Coroutine, Generator
from typing import Any

_NAME = "request"


def later(coro: Coroutine[Any, Any, None], loop: asyncio.AbstractEventLoop, context: contextvars.Context) -> asyncio.Task[None]:
    """Have the loop begin it."""
    # Made directly and with a name: `create_task` would format one for each.
    return asyncio.Task(coro, loop=loop, name=_NAME, context=context)


if sys.version_info >= (3, 12):

    def at_once(coro: Coroutine[Any, Any, None], loop: asyncio.AbstractEventLoop, context: contextvars.Context) -> asyncio.Task[None]:
        """Begin it; but from inside another task only later, so that neither runs in the middle of the other."""
        return asyncio.Task(coro, loop=loop, name=_NAME, context=context, eager_start=asyncio.current_task(loop) is None)

else:
    from asyncio.tasks import _current_tasks  # type: ignore[attr-defined]  # what `_enter_task` and `_leave_task` write to, at twice the cost

    class _Rest(Coroutine[Any, Any, None]):
        """What is left of a coroutine after its first step, which ended at an `await` of `first`."""

        __slots__ = ("_begun", "_coro", "first")

        def __init__(self, coro: Coroutine[Any, Any, None]) -> None:
            self._coro = coro
            self._begun = False
            self.first: Any = None

        def send(self, value: Any) -> Any:
            if self._begun:
                return self._coro.send(value)
            self._begun = True
            if self.cr_frame is None:
                raise StopIteration  # the first step was all
            return self.first

        def throw(self, error: Any, *rest: Any) -> Any:
            if not self._begun:
                self._begun = True
                if self.cr_frame is None:
                    raise error  # the first step was all, and cancelled itself
                # Cancelled in between. For any task that means what it waits for, and the task only if that can't be.
                cancel = getattr(self.first, "cancel", None)
                if cancel is not None and cancel(*error.args):
                    return self.first
            return self._coro.throw(error, *rest)

        def close(self) -> None:
            self._coro.close()

        def __await__(self) -> Any:
            raise NotImplementedError

        def __getattr__(self, name: str) -> Any:
            return getattr(self._coro, name)  # such as cr_frame, for who shows where a task waits

    class _Task(asyncio.Task[None]):
        __slots__ = ("parts", "rest")

        parts: tuple[Coroutine[Any, Any, None], asyncio.AbstractEventLoop, contextvars.Context]
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
        coro, loop, context = task.parts
        task.rest = _Rest(coro)
        asyncio.Task.__init__(task, task.rest, loop=loop, name=_NAME, context=context)
        return task

    _new = _FirstStep.__new__
    _OVER = object()

    def at_once(coro: Coroutine[Any, Any, None], loop: asyncio.AbstractEventLoop, context: contextvars.Context) -> asyncio.Task[None]:
        """Begin it; but from inside another task only later, so that neither runs in the middle of the other."""
        if loop in _current_tasks:
            return later(coro, loop, context)
        _current_tasks[loop] = task = _new(_FirstStep)
        task.parts = (coro, loop, context)
        try:
            # As an iterator it says that it has ended without raising anything, which would take as long again.
            first = context.run(next, coro.__await__(), _OVER)
        finally:
            del _current_tasks[loop]
        if first is not _OVER:
            task.rest.first = first
        return task
