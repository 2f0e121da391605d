"""Says what a middleware that is a plain function did wrong when it returned something nobody can await: only a request finds that out."""

from __future__ import annotations

import functools
from collections.abc import Awaitable
from inspect import isawaitable
from typing import TYPE_CHECKING

from tamago.app.middleware_shape import is_async, named
from tamago.core.called import is_ours
from tamago.errors import TamagoError

if TYPE_CHECKING:
    from tamago.app.chain import CallNext, Middleware
    from tamago.app.context import Context


class NothingToAwaitError(TamagoError, TypeError):
    """A middleware that is no `async def` returned something that cannot be awaited."""

    def __init__(self, middleware: Middleware, result: object) -> None:
        super().__init__(
            f"the middleware {named(middleware)} returned {result!r}, and it is not async",
            hint="write `async def`, and `await call_next(ctx)` in it; or return what `call_next(ctx)` returns",
        )


def checked(middleware: Middleware) -> Middleware:
    """Return the middleware, with a look at what it returns unless it is async anyway."""
    # Ours stand before every request of every application, and have tests.
    if is_async(middleware) or is_ours(middleware):
        return middleware

    @functools.wraps(middleware)
    def look(ctx: Context, call_next: CallNext) -> Awaitable[object]:
        result = middleware(ctx, call_next)
        if isawaitable(result):
            return result
        raise NothingToAwaitError(middleware, result)

    return look
