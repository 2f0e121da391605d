"""Answers piece by piece, from an async iterator, until that ends or nobody reads any more."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable
from contextlib import suppress
from typing import TYPE_CHECKING

from tamago.app.header_values import Fields
from tamago.app.sending import BODILESS, send_bodiless, start
from tamago.types import Exchange

if TYPE_CHECKING:
    from tamago.app.context import Context

Pieces = AsyncIterable[bytes | str]


async def stream(ctx: Context, pieces: Pieces, kind: Fields) -> None:
    """Send each piece as it comes. The iterator is closed in any case, also in the middle of its wait for the next piece.

    What it raises once the answer has begun is raised here, and cuts the connection: the client must not take half for all.
    """
    if ctx.status in BODILESS:
        await _close(pieces)
        send_bodiless(ctx, ctx.status)
        return
    exchange = ctx.exchange
    start(ctx, kind)
    if exchange.method == "HEAD":
        await _close(pieces)
        exchange.write(b"")
    elif exchange.body is not None and ctx.body_as_read is None:
        # A body that nobody read yet may still come, and waiting for it would begin its time limit; so the end of the client is
        # noticed with the next piece only.
        await _pump(exchange, pieces)
    else:
        await _pump_while_read(exchange, pieces)


async def _pump(exchange: Exchange, pieces: Pieces) -> None:
    try:
        async for piece in pieces:
            if exchange.gone:
                return
            data = piece.encode() if isinstance(piece, str) else piece
            if data:
                exchange.write(data, more=True)
                await exchange.drain()
        exchange.write(b"")
    finally:
        await _close(pieces)


async def _pump_while_read(exchange: Exchange, pieces: Pieces) -> None:
    """Pump, and stop when the client leaves, even if the next piece is an hour away."""
    pump = asyncio.create_task(_pump(exchange, pieces))
    watch = asyncio.create_task(_left(exchange))
    try:
        await asyncio.wait({pump, watch}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        watch.cancel()
        if not pump.done():
            pump.cancel()
        with suppress(asyncio.CancelledError):
            await pump


async def _left(exchange: Exchange) -> None:
    # One that only closed its half would have no use for a stream without end, and cannot be told from one that left.
    while not (exchange.gone or exchange.hung_up):
        await exchange.wait_for_input()


async def _close(pieces: Pieces) -> None:
    close = getattr(pieces, "aclose", None)
    if close is not None:
        await close()
