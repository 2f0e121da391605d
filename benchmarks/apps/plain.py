"""The smallest ASGI application that can be asked for one thing after the other: what is left is the server."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

PLAIN = (b"content-type", b"text/plain")
JSON = (b"content-type", b"application/json")
HELLO = [PLAIN, (b"content-length", b"5")]
BODIES = {f"/bytes/{size}": b"x" * size for size in (100 * 1024, 10 * 1024 * 1024)}


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        for kind in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{kind}.complete"})
    elif scope["type"] == "websocket":
        await echo_messages(receive, send)
    elif scope["path"] == "/":
        await send({"type": "http.response.start", "status": 200, "headers": HELLO})
        await send({"type": "http.response.body", "body": b"hello"})
    else:
        await other(scope["path"], receive, send)


async def other(path: str, receive: Receive, send: Send) -> None:
    if path.startswith("/items/"):
        await answer(send, PLAIN, path.removeprefix("/items/").encode())
    elif path == "/echo":
        await answer(send, JSON, b"".join([piece async for piece in pieces(receive)]))
    elif path == "/upload":
        await answer(send, PLAIN, b"%d" % sum([len(piece) async for piece in pieces(receive)]))
    else:
        await answer(send, PLAIN, BODIES[path])


async def pieces(receive: Receive) -> Any:
    more = True
    while more:
        message = await receive()
        more = message.get("more_body", False)
        yield message.get("body", b"")


async def answer(send: Send, kind: tuple[bytes, bytes], body: bytes) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [kind, (b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


async def echo_messages(receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": message["text"]})
