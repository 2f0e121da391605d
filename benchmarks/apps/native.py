"""The smallest native handler."""

from __future__ import annotations

from typing import Any

FIELDS = [(b"content-type", b"text/plain"), (b"content-length", b"5")]


async def app(exchange: Any) -> None:
    exchange.respond(200, FIELDS, b"hello")
