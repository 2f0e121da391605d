"""Lets any ASGI server lead an application through its life: start-up and shutdown by ASGI's lifespan protocol."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

from tamago.app.asgi_exchange import Receive, Send
from tamago.errors import TamagoError
from tamago.user_traceback import summary, user_traceback

_log = logging.getLogger("tamago.app")

Step = Callable[[], Awaitable[None]]


def _detail(error: Exception) -> str:
    """Return what helps beside the message, which the server prints: for what the application raised, its own lines."""
    if not isinstance(error, TamagoError):
        return user_traceback(error)
    return error.detail or (user_traceback(error.__cause__) if error.__cause__ else "")


async def serve_lifespan(receive: Receive, send: Send, start: Step, stop: Step) -> None:
    """Run `start` and `stop` when the server says so, and tell it of their failures (ASGI, lifespan protocol 2.0)."""
    for phase, step in (("startup", start), ("shutdown", stop)):
        await receive()
        try:
            await step()
        except Exception as error:  # noqa: BLE001 - told to the server
            if detail := _detail(error):
                _log.error("%s failed\n%s", phase, detail)
            await send({"type": f"lifespan.{phase}.failed", "message": str(error) if isinstance(error, TamagoError) else summary(error)})
            return
        await send({"type": f"lifespan.{phase}.complete"})
