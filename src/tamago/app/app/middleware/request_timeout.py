"""Gives up on a request that takes too long: its handler is cancelled, and the client gets 503."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any

from tamago.app.chain import CallNext, Middleware
from tamago.app.context import Context
from tamago.app.errors import HttpError


def middleware(options: Any, app: Any) -> Middleware | None:
    """Make it: `seconds` for all routes (0: no limit); a route's own `timeout` wins. Without either there is none.

    The time is that of handler and middleware until the answer is known. A stream or file may then take as long as it takes.
    """
    default: float = options.seconds
    if not default and not any(route.timeout for route in app.router.routes):
        return None

    # No coroutine: a request without a limit pays for one look at its route, although another route has one.
    def request_timeout(ctx: Context, call_next: CallNext) -> Awaitable[object]:
        own = ctx.route.timeout
        seconds = default if own is None else own
        return _limited(ctx, call_next, seconds) if seconds else call_next(ctx)

    return request_timeout


async def _limited(ctx: Context, call_next: CallNext, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds) as limit:
            await call_next(ctx)
    except TimeoutError as error:
        if not limit.expired():
            raise  # somebody else's
        # The cause has the line at which the handler was when the time was up.
        raise HttpError(503, f"the request took longer than {seconds:g} seconds", expose=False) from error
