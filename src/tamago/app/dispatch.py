"""Takes a request to its answer: route, context, middleware, handler, respond; and what happens when one of them fails."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING

from tamago.app.current import current
from tamago.app.errors import ExitError
from tamago.app.respond import respond
from tamago.app.route_finding import find_route

if TYPE_CHECKING:
    from tamago.app.chain import Act, Chain
    from tamago.app.context import Context
    from tamago.app.host import Endpoint
    from tamago.types import Exchange

logger = logging.getLogger("tamago.app")

Handle = Callable[["Exchange"], Awaitable[None]]


def call_route(ctx: Context) -> Awaitable[object]:
    """Call whoever answers now: the innermost step of the application's chain, as a request may have been routed again within it."""
    endpoint: Endpoint = ctx.route.endpoint  # every route of a table has one
    return endpoint(ctx)


def compile_dispatch(context: type[Context], chains: Mapping[str, Chain], chain_of_others: Chain) -> Handle:  # noqa: C901, PLR0915 - see below
    """Return the function that answers a request.

    It must be called in a `contextvars.Context` of the request's own, such as that of its task: the current context stays set in it.
    `context` is the application's own class. `chains` has the chain of each known method, which ends in `call_route`.
    """
    table = context.app.table
    # Hosts cost a look at the fields of each request; hardly any application has them.
    match = None if table.has_hosts else table.match
    emit = context.app.events.emit
    requested, responded = context.app.events.listeners("request"), context.app.events.listeners("response")
    enter = current.set
    steps_of = {method: _steps(chain) for method, chain in chains.items()}.get
    steps_of_others = _steps(chain_of_others)

    # Flat, and all in one: each call saved is a part in fifty of what a plain answer costs us.
    async def handle(exchange: Exchange) -> None:  # noqa: C901, PLR0912
        method = exchange.method
        target = exchange.target
        route, params = match(method, target) if match is not None else find_route(table, method, target, exchange.fields)
        run, unanswered, always = steps_of(method, steps_of_others)
        ctx = context(exchange, route, params)
        enter(ctx)
        try:
            if requested:
                emit("request", ctx)
            try:
                if run is not None:
                    await run(ctx)
                elif (direct := ctx.route.direct) is not None:
                    value = await direct(ctx)
                    if value is not None:
                        ctx.body = value
                else:
                    await call_route(ctx)
                if unanswered is not None and ctx.body is None:
                    unanswered(ctx)
            finally:
                if always is not None:
                    always(ctx)
            rest = respond(ctx)
            if rest is not None:
                await rest
        except (Exception, asyncio.CancelledError, SystemExit) as error:  # noqa: BLE001 - every error is an answer; Ctrl-C is none
            await answer_error(ctx, error)
        finally:
            if responded:
                emit("response", ctx)
            if ctx.made_services is not None:
                ctx.forget_services()

    return handle


def _steps(chain: Chain) -> tuple[Endpoint | None, Act | None, Act | None]:
    """Return a chain as what each request takes apart; None to run where no middleware stands around the endpoint.

    Then nobody but us has to see the body that a handler returns.
    """
    return None if chain.run is call_route else chain.run, chain.unanswered, chain.always


def _of_what_it_waited_for(cancelled: asyncio.CancelledError) -> Exception:
    """Return the error of a handler that waited for a task somebody else cancelled. Raises `cancelled` if it is the request's own end."""
    task = asyncio.current_task()
    if task is None or task.cancelling():
        raise cancelled
    error = RuntimeError("what the handler waited for was cancelled")
    error.__cause__ = cancelled
    return error


async def answer_error(ctx: Context, error: Exception | asyncio.CancelledError | SystemExit) -> None:
    """Answer with what `on_error` makes of it. Raises the error itself once the answer has begun: then it can only be cut."""
    if isinstance(error, asyncio.CancelledError):
        error = _of_what_it_waited_for(error)
    elif isinstance(error, SystemExit):
        error = ExitError(error)
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
