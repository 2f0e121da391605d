"""Takes a websocket to its route, and says why when that fails."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from tamago.app.anonymous import AnonymousExchange
from tamago.app.asgi_exchange import AsgiExchange, Receive, Scope, Send
from tamago.app.current import current
from tamago.app.dispatch import answer_error
from tamago.app.errors import HttpError
from tamago.app.target import split_target
from tamago.app.websocket import WebSocket, WebSocketClosedError

if TYPE_CHECKING:
    from tamago.app.context import Context
    from tamago.app.host import Routed

logger = logging.getLogger("tamago.app")

_GOING_WRONG = 1011


async def serve_websocket(
    context: type[Context], match: Callable[[bytes], Routed | None], scope: Scope, receive: Receive, send: Send
) -> None:
    """Run the route of a websocket. `match` finds it by its path, or None. What fails is logged, and closes with 1011."""
    exchange = AsgiExchange(scope, receive, send)
    websocket = WebSocket(scope, receive, send)
    found = match(split_target(exchange.target)[0])
    if found is None:
        await websocket.refuse(404, [(b"content-type", b"text/plain; charset=utf-8")], b"Not Found")
        return
    ctx = context(exchange, found.route, found.params)
    ctx.websocket = websocket
    token = current.set(ctx)
    try:
        await found.route.endpoint(ctx)
        await websocket.close()
    except WebSocketClosedError:
        pass  # the client left, and the handler had nothing to do about it
    except Exception as error:  # noqa: BLE001 - every error is an answer
        await _fail(ctx, error)
    finally:
        current.reset(token)


async def _fail(ctx: Context, error: Exception) -> None:
    if ctx.websocket.accepted:
        if not isinstance(error, HttpError):
            logger.error("websocket %s failed", ctx.path, exc_info=error)
            ctx.app.events.emit("error", error, ctx)
        await ctx.websocket.close(_GOING_WRONG)
        return
    # An answer in place of the handshake is made as for any request, and then sent as the websocket's.
    kept = AnonymousExchange()
    ctx.exchange = kept
    await answer_error(ctx, error)
    if kept.answer is not None:
        await ctx.websocket.refuse(kept.answer.status, list(kept.answer.fields), kept.answer.data)
