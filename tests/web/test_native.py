"""Native handlers: one async function, an exchange, and a real socket."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import weakref
from collections.abc import AsyncIterator
from contextvars import ContextVar

import pytest
from tests.web.edge import CountingMeter, Served, context, request, running

from tamago.server.exchange import Exchange
from tamago.server.native import Handler, NativeWorker
from tamago.types import ServerOptions

pytestmark = pytest.mark.anyio


@contextlib.asynccontextmanager
async def served(handler: Handler) -> AsyncIterator[Served]:
    meter = CountingMeter()
    async with running(NativeWorker(handler, context(ServerOptions(linger=0.02), meter)), meter) as served:
        yield served


async def echo(exchange: Exchange) -> None:
    """Answer with what was asked, piece by piece."""
    exchange.start(200, [(b"x-method", exchange.method.encode()), (b"x-target", exchange.target)])
    while piece := await exchange.read():
        exchange.write(piece, more=True)
        await exchange.drain()
    exchange.write(b"")


class Hello:
    """A handler that is an object."""

    async def __call__(self, exchange: Exchange) -> None:
        exchange.respond(200, [(b"content-length", b"5")], b"hello")


async def failing(exchange: Exchange) -> None:
    raise LookupError("nothing here")


async def test_a_handler_reads_and_writes_the_exchange_itself() -> None:
    body = bytes(range(256)) * 2048
    async with served(echo) as site:
        client = await site.connect()
        await client.send(request("POST", "/a%20b?c=d", body=body))
        reply = await client.reply()
        assert (reply.status, reply["x-method"], reply["x-target"]) == (200, "POST", "/a%20b?c=d")
        assert reply.body == body
        assert (await client.get("/again")).status == 200, "the connection stays"


async def test_fields_of_an_answer_may_be_lists_and_come_from_a_generator() -> None:
    async def listing(exchange: Exchange) -> None:
        exchange.respond(200, ([name, b"1"] for name in (b"x-a", b"x-b")), b"")  # type: ignore[misc]  # as they come from JSON, say

    async with served(listing) as site:
        client = await site.connect()
        reply = await client.get("/")
        assert (reply.status, reply["x-a"], reply["x-b"]) == (200, "1", "1")


@pytest.mark.parametrize("waits", [False, True])
async def test_a_request_that_is_over_leaves_nothing_for_the_garbage_collector(waits: bool) -> None:
    current: ContextVar[Exchange] = ContextVar("current")
    seen: list[weakref.ref[Exchange]] = []

    async def remember(exchange: Exchange) -> None:
        # As a framework does: the context of the request's task refers to the request.
        current.set(exchange)
        seen.append(weakref.ref(exchange))
        if waits:
            await asyncio.sleep(0)
        exchange.respond(200, [(b"content-length", b"0")], b"")

    gc.collect()
    gc.disable()
    try:
        async with served(remember) as site:
            client = await site.connect()
            for _ in range(3):
                await client.get()
        assert [exchange() for exchange in seen] == [None] * 3
    finally:
        gc.enable()


async def test_an_object_can_be_a_handler() -> None:
    async with served(Hello()) as site:
        assert (await site.get()).body == b"hello"


async def test_a_handler_that_fails_is_answered_for(caplog: pytest.LogCaptureFixture) -> None:
    async with served(failing) as site:
        assert (await site.get("/x")).status == 500
    assert "GET /x: the application failed" in caplog.text
