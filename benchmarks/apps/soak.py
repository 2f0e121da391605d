"""What the soak hosts: answers that say who gave them, one that takes long, and floods of messages to everybody."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import Any

from tamago import messenger

FLOOD = 5000
received = 0


@messenger.on("flood")
def count(_data: object) -> None:
    global received  # noqa: PLW0603 - one number a process
    received += 1


Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        await lifespan(receive, send)
        return
    body = await whole_body(receive)
    match scope["path"].split("/")[1:]:
        case ["say", word]:
            await answer(send, word.encode())
        case ["slow"]:
            await slowly(send)
        case ["flood"]:
            await flood()
            await answer(send, b"flooded")
        case _:
            await answer(send, body)


async def lifespan(receive: Receive, send: Send) -> None:
    while (await receive())["type"] != "lifespan.shutdown":
        await send({"type": "lifespan.startup.complete"})
    await send({"type": "lifespan.shutdown.complete"})


async def whole_body(receive: Receive) -> bytes:
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            return body


async def answer(send: Send, body: bytes) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


async def slowly(send: Send) -> None:
    """Send the head and who sent it, and the end when it is too late."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"%d\n" % os.getpid(), "more_body": True})
    await asyncio.sleep(5)
    await send({"type": "http.response.body", "body": b"end"})


async def flood() -> None:
    for number in range(FLOOD):
        messenger.broadcast("flood", [number, "x" * 100])
        if number % 100 == 99:
            await messenger.drain()
