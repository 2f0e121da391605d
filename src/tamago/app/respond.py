"""Answers with whatever was set as a context's body."""

from __future__ import annotations

from collections.abc import Awaitable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from tamago.app.errors import reason
from tamago.app.event_stream import EventStream
from tamago.app.file_answer import send_file
from tamago.app.response_value import Response
from tamago.app.sending import BINARY, BODILESS, HTML, JSON, TEXT, send, send_bodiless
from tamago.app.streaming import stream

if TYPE_CHECKING:
    from tamago.app.context import Context

encode_json = msgspec.json.Encoder().encode


def respond(ctx: Context) -> Awaitable[None] | None:
    """Answer with what the context holds. Returns None when that was all, else what to await until the answer is complete.

    Raises TypeError for a body that cannot be sent, before anything of it was.
    """
    # Flat, since every request comes through here: each call saved is one part in thirty of all that a plain answer costs us.
    body = ctx.body
    kind = type(body)
    if kind is str:
        data = body.encode()
        fields = TEXT
    elif kind is dict or kind is list or isinstance(body, msgspec.Struct):
        try:
            data = encode_json(body)
        except TypeError as error:
            raise _unsendable(body, error) from None
        fields = JSON
    elif kind is bytes:
        data = body
        fields = BINARY
    else:
        return _respond_rarely(ctx, body)
    if ctx.answer_status or ctx.answer_type is not None:
        send(ctx, data, fields)
    else:
        ctx.exchange.respond(200, fields + ctx.answer_fields, data)
        ctx.answered = True
    return None


def _respond_rarely(ctx: Context, body: Any) -> Awaitable[None] | None:
    """Answer with a body that is rarer than text and JSON."""
    if isinstance(body, Response):
        body.apply(ctx)
        return respond(ctx)
    if isinstance(body, Path):
        return send_file(ctx, body)
    if isinstance(body, EventStream):
        body.prepare(ctx)
        return stream(ctx, body, ((b"content-type", b"text/event-stream"),), body.filler)
    if hasattr(body, "__aiter__"):
        return stream(ctx, body, BINARY)
    if body is None:
        _respond_nothing(ctx)
    elif isinstance(body, str):
        # A subclass. Markup says by this method that it is HTML, with what is not its own escaped (MarkupSafe, Django).
        send(ctx, body.encode(), HTML if hasattr(body, "__html__") else TEXT)
    elif isinstance(body, bytes | bytearray | memoryview):
        send(ctx, bytes(body), BINARY)
    else:
        send(ctx, _as_json(body), JSON)
    return None


def _respond_nothing(ctx: Context) -> None:
    status = ctx.status
    if status in BODILESS:
        send_bodiless(ctx, status)
        return
    ctx.answer_status = status
    ctx.answer_type = None  # of a body that is not there
    send(ctx, reason(status).encode(), TEXT)


def _as_json(body: Any) -> bytes:
    try:
        return encode_json(body)
    except TypeError as error:
        raise _unsendable(body, error) from None


def _unsendable(body: object, error: TypeError) -> TypeError:
    """Return the error that says what a body can be."""
    return TypeError(
        f"a {type(body).__qualname__} cannot be the body of an answer ({error}): use text, bytes, what JSON has, a Struct, a dataclass, "
        "a Path, an async iterator, an EventStream or a Response"
    )
