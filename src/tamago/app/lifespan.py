"""Lets any ASGI server lead an application through its life: start-up and shutdown by ASGI's lifespan protocol."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

from tamago.app.asgi_exchange import Receive, Send

_log = logging.getLogger("tamago.app")

Step = Callable[[], Awaitable[None]]


async def serve_lifespan(receive: Receive, send: Send, start: Step, stop: Step) -> None:
    """Run `start` and `stop` when the server says so, and tell it of their failures (ASGI, lifespan protocol 2.0)."""
    for phase, step in (("startup", start), ("shutdown", stop)):
        await receive()
        try:
            await step()
        except Exception as error:  # noqa: BLE001 - told to the server
            _log.exception("%s failed", phase)
            await send({"type": f"lifespan.{phase}.failed", "message": str(error)})
            return
        await send({"type": f"lifespan.{phase}.complete"})
