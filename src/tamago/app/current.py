"""The context of the request that this code works for, wherever it runs. Egg's `app.currentContext`."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tamago.app.context import Context

current: ContextVar[Context | None] = ContextVar("tamago.app.current", default=None)


def current_context() -> Context | None:
    """Return the context of the request in progress, also in what it started (tasks, threads by `asyncio.to_thread`); None outside one."""
    return current.get()
