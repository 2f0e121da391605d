"""Takes a request to its answer: route, context, middleware, handler, respond; and what happens when one of them fails."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING

from tamago.app.current import current
from tamago.app.respond import respond
from tamago.app.route_finding import find_route

if TYPE_CHECKING:
    from tamago.app.context import Context
    from tamago.app.host import Endpoint
    from tamago.types import Exchange

logger = logging.getLogger("tamago.app")

Handle = Callable[["Exchange"], Awaitable[None]]


def call_route(ctx: Context) -> Awaitable[object]:
    """Call whoever answers now: the innermost step of the application's chain, as a request may have been routed again within it."""
    endpoint: Endpoint = ctx.route.endpoint  # every route of a table has one
    return endpoint(ctx)


def compile_dispatch(context: type[Context], chains: Mapping[str, Endpoint], chain_of_others: Endpoint) -> Handle:
    """Return the function that answers a request.

    It must be called in a `contextvars.Context` of the request's own, such as that of its task: the current context stays set in it.
    `context` is the application's own class. `chains` has the chain of each known method, which ends in `call_route`.
    """
    app = context.app
    table = app.table
    # Hosts cost a look at the fields of each request; hardly any application has them.
    match = None if table.has_hosts else table.match
    chain_of = chains.get
    enter = current.set
    requested, responded = app.events.listeners("request"), app.events.listeners("response")

    async def handle(exchange: Exchange) -> None:
        method = exchange.method
        target = exchange.target
        if match is None or 63 in target or target[0] != 47:  # a "?", or no "/" first
            route, params = find_route(table, method, target, exchange.fields)
        else:
            route, params = match(method, target)
        ctx = context(exchange, route, params)
        enter(ctx)
        try:
            if requested:
                app.events.emit("request", ctx)
            await chain_of(method, chain_of_others)(ctx)
            rest = respond(ctx)
            if rest is not None:
                await rest
        except Exception as error:  # noqa: BLE001 - every error is an answer
            await answer_error(ctx, error)
        finally:
            if responded:
                app.events.emit("response", ctx)

    return handle


async def answer_error(ctx: Context, error: Exception) -> None:
    """Answer with what `on_error` makes of it. Raises the error itself once the answer has begun: then it can only be cut."""
    app = ctx.app
    if ctx.exchange.gone and isinstance(error, ConnectionError):
        return  # the client left, which is no failure
    if ctx.answered:
        raise error
    try:
        ctx.response.forget_body()
        rendering = app.on_error(error, ctx)
        if rendering is not None:
            await rendering
        rest = respond(ctx)
        if rest is not None:
            await rest
    except Exception:
        logger.exception("on_error failed")
        raise error from None
