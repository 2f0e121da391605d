"""The smallest application: it says which generation answers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import tamago


async def app(scope: dict[str, Any], _receive: Callable[[], Awaitable[Any]], send: Callable[[dict[str, Any]], Awaitable[None]]) -> None:
    """Plain ASGI, without lifespan."""
    assert scope["type"] == "http"
    body = f"generation {tamago.me.generation}".encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", str(len(body)).encode())]})
    await send({"type": "http.response.body", "body": body})
