"""Tells how long a post takes to read."""

from __future__ import annotations

from app.schema import Post

from tamago.app import Context, CallNext

WORDS_A_MINUTE = 200


async def middleware(ctx: Context, call_next: CallNext) -> None:
    await call_next(ctx)
    if isinstance(ctx.body, Post):
        ctx.set("x-reading-minutes", str(1 + len(ctx.body.body.split()) // WORDS_A_MINUTE))
