"""Small ASGI applications, each for one thing a server must get right."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

from tamago.server.asgi import Receive, Scope, Send

TEXT = [(b"content-type", b"text/plain")]


async def answer(send: Send, body: bytes = b"hello", *, status: int = 200, fields: Iterable[tuple[bytes, bytes]] = ()) -> None:
    await send({"type": "http.response.start", "status": status, "headers": [*TEXT, *fields]})
    await send({"type": "http.response.body", "body": body})


async def no_lifespan(scope: Scope) -> None:
    if scope["type"] == "lifespan":
        raise RuntimeError("no lifespan here")


async def hello(scope: Scope, receive: Receive, send: Send) -> None:
    await no_lifespan(scope)
    await answer(send)


async def path(scope: Scope, receive: Receive, send: Send) -> None:
    await no_lifespan(scope)
    await answer(send, scope["path"].encode())


async def read_body(receive: Receive) -> bytes:
    body: bytes = b""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ConnectionAbortedError
        body += message["body"]
        if not message["more_body"]:
            return body


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    await no_lifespan(scope)
    await answer(send, await read_body(receive))


class Gate:
    """Answers once it is opened; says when a request has entered. For what must be seen in the middle of a request."""

    def __init__(self) -> None:
        self.entered = asyncio.Event()
        self.opened = asyncio.Event()
        self.scopes: list[Any] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await no_lifespan(scope)
        self.scopes.append(scope)
        self.entered.set()
        await self.opened.wait()
        await answer(send, scope["path"].encode())
