"""Answers piece by piece, from an async iterator, until that ends or nobody reads any more."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tamago.app.header_values import Fields
from tamago.app.sending import BODILESS, send_bodiless, start
from tamago.types import Exchange

if TYPE_CHECKING:
    from tamago.app.context import Context

Pieces = AsyncIterable[bytes | str]


@dataclass(frozen=True, slots=True)
class Filler:
    """What is sent first, so that the head need not wait for a piece, and every `interval` seconds (0: never again)."""

    data: bytes
    interval: float


async def stream(ctx: Context, pieces: Pieces, kind: Fields, filler: Filler | None = None) -> None:
    """Send each piece as it comes. The iterator runs in one task, and is closed in any case, also in its wait for the next piece.

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
        return
    filling = None if filler is None else asyncio.create_task(_fill(exchange, filler))
    pump = asyncio.create_task(_pump(exchange, pieces, filling))
    # A body that nobody read yet may still come, and waiting for it would begin its time limit; then the end of the client is noticed
    # with the next piece only.
    unread = exchange.body is not None and ctx.body_as_read is None
    watch = None if unread else asyncio.create_task(_left(exchange))
    try:
        await asyncio.wait({task for task in (pump, watch) if task is not None}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        await _end(filling, watch)
        pump.cancel()
        with suppress(asyncio.CancelledError):
            await pump


async def _pump(exchange: Exchange, pieces: Pieces, filling: asyncio.Task[None] | None) -> None:
    iterator = aiter(pieces)
    try:
        async for piece in iterator:
            if exchange.gone:
                return
            data = piece.encode() if isinstance(piece, str) else piece
            if data:
                exchange.write(data, more=True)
                await exchange.drain()
        await _end(filling)
        exchange.write(b"")
    finally:
        await _close(iterator)


async def _fill(exchange: Exchange, filler: Filler) -> None:
    while not exchange.gone:
        exchange.write(filler.data, more=True)
        await exchange.drain()
        if not filler.interval:
            return
        await asyncio.sleep(filler.interval)


async def _left(exchange: Exchange) -> None:
    # One that only closed its half would have no use for a stream without end, and cannot be told from one that left.
    while not (exchange.gone or exchange.hung_up):
        await exchange.wait_for_input()


async def _end(*tasks: asyncio.Task[None] | None) -> None:
    """End tasks that only accompany another; what they fail with, that one fails with as well."""
    running = [task for task in tasks if task is not None]
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)


async def _close(pieces: object) -> None:
    close = getattr(pieces, "aclose", None)
    if close is not None:
        await close()
