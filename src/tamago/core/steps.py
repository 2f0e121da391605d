"""Runs the steps of a start or a stop: one after another or all at once, timed, watched, and with a memory of which did not end."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tamago.core.slow_watch import SlowWatch
from tamago.core.timing import Timing


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A hook or callback, sync or async. `where` says whose it is (`app/boot.py:did_load`), `title` is what the timeline calls it."""

    title: str
    where: str
    call: Callable[[], Any]


class Steps:
    """Runs steps. A step that is cut off by a cancellation stays in `unfinished`, so that whoever gave up on it can still name it."""

    def __init__(self, timing: Timing, *, slow_after: float, log: logging.Logger) -> None:
        self._timing = timing
        self._unfinished: dict[object, str] = {}
        self._group: asyncio.TaskGroup | None = None

        def report(where: str) -> None:
            log.warning("after %g s %s has not finished", slow_after, where)

        self._watch = SlowWatch(slow_after, report)

    def unfinished(self) -> list[str]:
        """Return the steps that run now, and those that were cut off."""
        return list(self._unfinished.values())

    async def run(self, step: Step) -> None:
        """Run one step. What it raises comes through, with a note that says whose it is."""
        token = self._watch.begin(step.where)
        self._unfinished[token] = step.where
        try:
            with self._timing.measure(f"{step.title} in {step.where}"), noting(step.where):
                result: Awaitable[object] | object = step.call()
                if inspect.isawaitable(result):
                    await result
        except asyncio.CancelledError:
            raise
        except BaseException:
            del self._unfinished[token]
            raise
        else:
            del self._unfinished[token]
        finally:
            self._watch.finish(token)

    async def together(self, steps: Iterable[Step]) -> None:
        """Start all steps in this order and wait for them. The first error cancels the others.

        Raises that error, or an ExceptionGroup when several steps failed.
        """
        try:
            async with asyncio.TaskGroup() as self._group:
                for step in steps:
                    self.join(step)
        except BaseExceptionGroup as group:
            failed = group.exceptions
        else:
            failed = ()
        finally:
            self._group = None
        raise_all(failed)

    def join(self, step: Step) -> bool:
        """Add a step to those that run together now. False if none do."""
        if self._group is None:
            return False
        self._group.create_task(self.run(step), name=step.where)
        return True

    def rest(self) -> None:
        """A phase is over: nothing is watched for a while."""
        self._watch.rest()


@contextmanager
def noting(where: str) -> Iterator[None]:
    """Add a note to what is raised that says whose it is; a cancelled step is nobody's."""
    try:
        yield
    except asyncio.CancelledError:
        raise
    except BaseException as error:
        error.add_note(f"in {where}")
        raise


def raise_all(errors: Sequence[BaseException]) -> None:
    """Raise a single error as it is, several as a group, none not at all."""
    if len(errors) == 1:
        raise errors[0]
    if errors:
        raise BaseExceptionGroup("several steps failed", errors)
