"""Gives an answer to the exchange, with the fields the context holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tamago.app.header_values import Fields

if TYPE_CHECKING:
    from tamago.app.context import Context

# What answers are unless the context says otherwise. Nearly all have these fields and no others, and then these very tuples: whoever sends
# them knows by heart what it has seen before.
TEXT: Fields = ((b"content-type", b"text/plain; charset=utf-8"),)
HTML: Fields = ((b"content-type", b"text/html; charset=utf-8"),)
JSON: Fields = ((b"content-type", b"application/json; charset=utf-8"),)
BINARY: Fields = ((b"content-type", b"application/octet-stream"),)

# No body goes with these, and nothing that describes one (RFC 9110, 15.3.5, 15.3.6, 15.4.5).
BODILESS = frozenset({204, 205, 304})
_OF_A_BODY = {b"content-length", b"content-encoding", b"transfer-encoding"}


def send(ctx: Context, data: bytes, kind: Fields) -> None:
    """Send a whole answer with this body."""
    status = ctx.answer_status
    if not status:
        status = 200
    elif status in BODILESS:
        send_bodiless(ctx, status)
        return
    own_type = ctx.answer_type
    if own_type is not None:
        kind = ((b"content-type", own_type),)
    ctx.exchange.respond(status, kind + ctx.answer_fields, data)
    ctx.answered = True


def send_bodiless(ctx: Context, status: int) -> None:
    """Send an answer without a body."""
    ctx.exchange.respond(status, tuple(field for field in ctx.answer_fields if field[0] not in _OF_A_BODY), b"")
    ctx.answered = True


def start(ctx: Context, kind: Fields) -> None:
    """Give the head of an answer that follows in pieces. From here on an error cuts the connection."""
    own_type = ctx.answer_type
    ctx.exchange.start(ctx.status, (((b"content-type", own_type),) if own_type is not None else kind) + ctx.answer_fields)
    ctx.answered = True
