"""Says in `x-readtime` how many milliseconds an answer took, and in the log that a request began (`config.meta.logging`)."""

from __future__ import annotations

from time import perf_counter
from typing import Any

from tamago.app.chain import After, CallNext, Middleware
from tamago.app.context import Context

_AT_ONCE = ((b"x-readtime", b"0"),)


def middleware(options: Any, app: Any) -> Middleware:
    """Make it. Egg has `x-readtime` on what succeeds only; here errors have it, too."""
    tell = After(_tell_time, always=True)
    if not options.logging:
        return tell
    log = app.logger

    async def meta(ctx: Context, call_next: CallNext) -> None:
        log.info("[meta] request started, host: %s, user-agent: %s", ctx.host, ctx.get("user-agent"))
        await tell(ctx, call_next)

    return meta


def _tell_time(ctx: Context) -> None:
    seconds = perf_counter() - ctx.started
    ctx.answer_fields += _AT_ONCE if seconds < 0.001 else ((b"x-readtime", b"%d" % (seconds * 1000)),)
