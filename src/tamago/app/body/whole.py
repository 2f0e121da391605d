"""Reads a context's body whole, with the limit and the encoding that go with its kind."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tamago.app.body.parsing import body_kind
from tamago.app.body.reading import read_body, unpack

if TYPE_CHECKING:
    from tamago.app.context import Context


async def read_whole(ctx: Context) -> bytes:
    """Return the body, unpacked. Raises PayloadTooLargeError past `json_limit`, `form_limit`, `text_limit` or `raw_limit` bytes."""
    if ctx.exchange.body is None:
        return b""
    request = ctx.request
    kind = body_kind(request.content_type)
    setting = f"{kind.value if kind else 'raw'}_limit"
    limit: int = getattr(ctx.config["body_parser"], setting)
    data = await read_body(ctx.exchange, limit, setting=setting, announced=request.content_length)
    return unpack(data, ctx.get("content-encoding"), limit, setting=setting)
