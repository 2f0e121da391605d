"""The answer to an error, unless a plugin makes a better one: status and message, and nothing else about the inside."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tamago.app.errors import HttpError, reason
from tamago.user_traceback import exc_info

if TYPE_CHECKING:
    from tamago.app.context import Context


def on_error(error: Exception, ctx: Context) -> None:
    """Answer with the error's status and, if the client may read it, its message; log what is our fault and tell `app.on("error")`."""
    status = error.status if isinstance(error, HttpError) else 500
    exposed = isinstance(error, HttpError) and error.expose
    if status >= 500:
        ctx.logger.error("%s %s failed", ctx.method, ctx.path, exc_info=exc_info(error))
        ctx.app.events.emit("error", error, ctx)
    message = error.problem if isinstance(error, HttpError) and exposed else reason(status)
    if isinstance(error, HttpError):
        for name, value in error.headers.items():
            ctx.set(name, value)
    ctx.status = status
    if ctx.accept_json:
        ctx.body = _as_json(error, message) if exposed else {"message": message}
    else:
        ctx.type = "text"  # also for a message that looks like HTML
        ctx.body = message
    ctx.set("x-content-type-options", "nosniff")


def _as_json(error: Exception, message: str) -> dict[str, object]:
    body: dict[str, object] = {"message": message}
    if isinstance(error, HttpError):
        if error.code:
            body["code"] = error.code
        if error.errors:
            body["errors"] = list(error.errors)
    return body
