"""Where each asyncio task waits: the whole chain of awaits, which a dump of the threads' stacks does not show."""

from __future__ import annotations

import asyncio
import linecache
from collections.abc import Iterator
from types import FrameType


def task_stacks() -> Iterator[str]:
    """Yield, for each task of the running loop but the current one, its name and the lines it waits at, outermost first."""
    current = asyncio.current_task()
    for task in asyncio.all_tasks():
        if task is not current:
            yield "\n".join((f"task {task.get_name()!r}:", *map(_line, _frames(task.get_coro()))))


def _frames(awaited: object) -> Iterator[FrameType]:
    # A coroutine, a generator or an async generator, each with names of its own; what ends the chain is a future, which has none of them.
    while awaited is not None:
        frame = getattr(awaited, "cr_frame", None) or getattr(awaited, "gi_frame", None) or getattr(awaited, "ag_frame", None)
        if frame is not None:
            yield frame
        awaited = getattr(awaited, "cr_await", None) or getattr(awaited, "gi_yieldfrom", None) or getattr(awaited, "ag_await", None)


def _line(frame: FrameType) -> str:
    code = frame.f_code
    text = linecache.getline(code.co_filename, frame.f_lineno).strip()
    return f'  File "{code.co_filename}", line {frame.f_lineno}, in {code.co_name}' + (f"\n    {text}" if text else "")
