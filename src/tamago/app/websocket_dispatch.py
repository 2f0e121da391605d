"""Takes a websocket to its route, and says why when that fails."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from tamago.app.anonymous import AnonymousExchange
from tamago.app.asgi_exchange import AsgiExchange, Receive, Scope, Send
from tamago.app.current import current
from tamago.app.dispatch import answer_error, call_route
from tamago.app.errors import ExitError, HttpError
from tamago.app.respond import respond
from tamago.app.route_finding import find_websocket
from tamago.app.websocket import BadMessageError, WebSocket, WebSocketClosedError

if TYPE_CHECKING:
    from tamago.app.context import Context

logger = logging.getLogger("tamago.app")

# RFC 6455, 7.4.1
_NOT_CONSISTENT = 1007
_AGAINST_THE_RULES = 1008
_GOING_WRONG = 1011
_LONGEST_REASON = 123  # bytes, of the 125 that a control frame holds


async def serve_websocket(context: type[Context], scope: Scope, receive: Receive, send: Send) -> None:
    """Run the route of a websocket. One that the handler never accepted is refused, with what it set as the answer, or 403.

    What fails is logged, and closes with 1011; an HttpError below 500 is the client's fault and closes with 1008, or 1007 if its message
    was no good, and says why.
    """
    exchange = AsgiExchange(scope, receive, send)
    route, params = find_websocket(context.app.table, exchange.target, exchange.fields)
    ctx = context(exchange, route, params)
    ctx.websocket = websocket = WebSocket(scope, receive, send)
    token = current.set(ctx)
    try:
        await call_route(ctx)
        if websocket.accepted:
            await websocket.close()
        else:
            await _refuse(ctx)
    except WebSocketClosedError:
        pass  # the client left, and the handler had nothing to do about it
    except Exception as error:  # noqa: BLE001 - every error is an answer
        await _fail(ctx, error)
    except SystemExit as exit_:
        await _fail(ctx, ExitError(exit_))
    finally:
        current.reset(token)


async def _fail(ctx: Context, error: Exception) -> None:
    if ctx.websocket.accepted:
        await _close(ctx, error)
        return
    ctx.exchange = kept = _keeping(ctx)
    await answer_error(ctx, error)
    await _send_kept(ctx, kept)


async def _close(ctx: Context, error: Exception) -> None:
    if isinstance(error, HttpError) and error.status < 500:
        ctx.logger.warning("websocket %s closed: %d %s", ctx.path, error.status, error.problem)
        code = _NOT_CONSISTENT if isinstance(error, BadMessageError) else _AGAINST_THE_RULES
        reason = error.problem.encode()[:_LONGEST_REASON].decode(errors="ignore") if error.expose else ""
        await ctx.websocket.close(code, reason)
        return
    logger.error("websocket %s failed", ctx.path, exc_info=error)
    ctx.app.events.emit("error", error, ctx)
    await ctx.websocket.close(_GOING_WRONG)


async def _refuse(ctx: Context) -> None:
    if ctx.route.websocket and ctx.status == 404:
        ctx.status = 403  # there is a route, and it does not want this one
    ctx.exchange = kept = _keeping(ctx)
    rest = respond(ctx)
    if rest is not None:
        await rest
    await _send_kept(ctx, kept)


def _keeping(ctx: Context) -> AnonymousExchange:
    """Return an exchange that keeps the answer: one in place of the handshake is made as for any request, and sent by the websocket."""
    before = ctx.exchange
    return AnonymousExchange(target=before.target, fields=before.fields, client=before.client, scheme=before.scheme)


async def _send_kept(ctx: Context, kept: AnonymousExchange) -> None:
    if kept.answer is not None:
        await ctx.websocket.refuse(kept.answer.status, list(kept.answer.fields), kept.answer.data)
