"""Reads JSON, forms and (if asked) text, so that handlers have `ctx.request.body` without waiting for it."""

from __future__ import annotations

from typing import Any

from tamago.app.body.parsing import BodyKind, body_kind
from tamago.app.chain import CallNext, Middleware, only_for
from tamago.app.context import Context


def middleware(options: Any, app: Any) -> Middleware:  # noqa: ARG001 - factories take both
    """Make it. `enable_types`: which of "json", "form", "text"; bodies of all other types are left for the handler to read."""
    kinds = frozenset(BodyKind(name) for name in options.enable_types)

    @only_for("POST", "PUT", "PATCH", "DELETE")
    async def body_parser(ctx: Context, call_next: CallNext) -> None:
        if ctx.exchange.body is not None and body_kind(ctx.content_type) in kinds:
            await ctx.raw_body()
        await call_next(ctx)

    return body_parser
