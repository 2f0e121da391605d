"""Tells the client the id of its request, in `x-request-id`."""

from __future__ import annotations

import re
from typing import Any

from tamago.app.chain import CallNext, Middleware
from tamago.app.context import Context

# As long as any id in use, and nothing that would have to be escaped anywhere.
_ACCEPTABLE = re.compile(r"[A-Za-z0-9._:+/=@-]{1,64}")


def middleware(options: Any, app: Any) -> Middleware:  # noqa: ARG001 - factories take both
    """Make it. `trust`: an id in the request's own `header` counts. Only behind your own proxy, or strangers choose what you search by."""
    header: str = options.header
    trusts: bool = options.trust

    async def request_id(ctx: Context, call_next: CallNext) -> None:
        given = ctx.get(header) if trusts else ""
        if _ACCEPTABLE.fullmatch(given):
            ctx.request_id = given
        # An edge that gives ids (`--request-id`) tells them itself.
        if not hasattr(ctx.exchange, "request_id"):
            ctx.set(header, ctx.request_id)
        await call_next(ctx)

    return request_id
