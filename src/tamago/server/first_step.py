"""Begins work at once, in the stack of whoever begins it: most requests need no second step, and so no task.

Python 3.12 has eager tasks. For 3.11, what is the current task during the first step becomes a task proper only if somebody looks at it,
or if there is a second step. Nobody can tell: it is one object all the way, and one context.
"""

from __future__ import annotations

import asyncio
import contextvars
import sys
from collections.abc import Awaitable, Callable, Coroutine, Generator
from types import CoroutineType, coroutine
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

    class Starter:
        """Begins work in one loop."""

        def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
            self._loop = loop

        def at_once(self, work: Work, context: contextvars.Context) -> asyncio.Task[None] | None:
            """Begin it. Not to be called in a task. Returns the task that goes on with it, None if nothing is left to do."""
            task = asyncio.Task(_whole(work), loop=self._loop, name=_NAME, context=context, eager_start=True)
            return None if task.done() else task

else:
    from asyncio.tasks import _current_tasks  # type: ignore[attr-defined]  # what `_enter_task` and `_leave_task` write to, at twice the cost

    # What a drive yields when it is through with a piece of work.
    _OVER = object()

    Drive = Generator[Any, Any, None]

    @coroutine
    def _new_drive() -> Drive:
        """Take one piece of work after the other: sent one, yield what it waits for, and in the end `_OVER`.

        One goes on for all that never wait. To make one for each, or a coroutine around each, would take as long as what they do.
        """
        while True:
            work = yield _OVER
            try:
                coro = work.handle()
                yield from coro if type(coro) is CoroutineType else _awaiting(coro)  # type: ignore[misc]  # `coroutine` allows it
            except GeneratorExit:
                raise  # nobody goes on with it, as the loop is at its end
            except BaseException as error:  # noqa: BLE001 - as above
                work.over(error)
            else:
                work.over(None)
            work = coro = None  # nothing of it is kept until there is more to do

    async def _awaiting(awaitable: Awaitable[object]) -> None:
        await awaitable

    class _Rest(Coroutine[Any, Any, None]):
        """What is left of some work after its first step, for a task to go through: nothing, unless `goes_on` says so."""

        __slots__ = ("_begun", "_drive", "_first", "_work")

        _work: Work

        def __init__(self) -> None:
            self._begun = False
            self._drive: Drive | None = None
            self._first: Any = None  # what the first step ended at an `await` of

        def goes_on(self, work: Work, drive: Drive, first: Any) -> None:
            self._work, self._drive, self._first = work, drive, first

        def send(self, value: Any) -> Any:
            drive = self._drive
            if drive is None:
                raise StopIteration
            if self._begun:
                return self._unless_over(drive.send, value)
            self._begun = True
            return self._first

        def throw(self, error: Any, *rest: Any) -> Any:
            drive = self._drive
            if drive is None:
                raise error  # it cancelled itself
            if not self._begun:
                self._begun = True
                # Cancelled in between. For any task that means what it waits for, and the task only if that can't be.
                cancel = getattr(self._first, "cancel", None)
                if cancel is not None and cancel(*error.args):
                    return self._first
            return self._unless_over(drive.throw, error, *rest)

        def _unless_over(self, step: Callable[..., Any], *arguments: Any) -> Any:
            try:
                awaited = step(*arguments)
            except GeneratorExit as error:  # the work's own; by `close` it does not come here
                self._work.over(error)
                awaited = _OVER
            if awaited is _OVER:
                raise StopIteration
            return awaited

        def close(self) -> None:
            if self._drive is not None:
                self._drive.close()

        def __await__(self) -> Any:
            raise NotImplementedError

        def __getattr__(self, name: str) -> Any:
            return getattr(getattr(self._drive, "gi_yieldfrom", None), name)  # such as cr_frame, for who shows where a task waits

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

    class Starter:
        """Begins work in one loop."""

        def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
            self._loop = loop
            self._renew_drive()

        def _renew_drive(self) -> None:
            self._drive = _new_drive()
            self._send = self._drive.send
            self._send(None)

        def at_once(self, work: Work, context: contextvars.Context) -> asyncio.Task[None] | None:
            """Begin it. Not to be called in a task. Returns the task that goes on with it, None if nothing is left to do."""
            loop = self._loop
            _current_tasks[loop] = task = _new(_FirstStep)
            task.place = (loop, context)
            try:
                first = context.run(self._send, work)
            except BaseException as error:
                self._renew_drive()  # this one is broken
                if not isinstance(error, GeneratorExit):
                    raise  # that of `over`, of which there should be none
                context.run(work.over, error)  # the work's own; while it runs nobody closes the drive
                return None
            finally:
                del _current_tasks[loop]
            if first is _OVER:
                return None
            task.rest.goes_on(work, self._drive, first)
            self._renew_drive()
            return task
