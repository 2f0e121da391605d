"""Lets a POST be a PUT, PATCH or DELETE: HTML forms can send nothing else. By `_method` in the body, or X-HTTP-Method-Override."""

from __future__ import annotations

from tamago.app.body.parsing import BodyKind, body_kind
from tamago.app.chain import CallNext, only_for
from tamago.app.context import Context
from tamago.app.errors import BadRequestError

_ALLOWED = frozenset({"PUT", "PATCH", "DELETE", "POST"})


@only_for("POST")
async def middleware(ctx: Context, call_next: CallNext) -> None:
    """Route again by the method that was meant. Raises BadRequestError for one that cannot be had this way."""
    wanted = _wanted(ctx)
    if wanted:
        method = wanted.upper()
        if method not in _ALLOWED:
            raise BadRequestError(f"invalid override method: {wanted[:50]!r}")
        if method != "POST":
            ctx.rewrite(method=method)
    await call_next(ctx)


def _wanted(ctx: Context) -> str:
    # A JSON body is decoded for who asks; decoding each of them here only to look would cost every API.
    if ctx.body_as_read and body_kind(ctx.content_type) is BodyKind.FORM:
        said = ctx.request.body.get("_method")
        if said:
            return str(said)
    return ctx.get("x-http-method-override")
