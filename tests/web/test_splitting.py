"""An application cannot write a second header, or a second answer, into the first: nothing of such an answer is sent."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest
from tests.web.apps import answer, no_lifespan
from tests.web.conftest import Run
from tests.web.edge import CountingMeter, Served, context, listen, request, running, serving

from tamago.server.asgi import Receive, Scope, Send
from tamago.server.wsgi import WsgiWorker
from tamago.types import ServerOptions

FIELDS: dict[str, tuple[bytes, bytes]] = {
    "a line break in a value": (b"x-a", b"1\r\nx-b: 2"),
    "a line feed in a value": (b"x-a", b"1\nx-b: 2"),
    "a carriage return in a value": (b"x-a", b"1\rx-b: 2"),
    "a line feed at the end of a value": (b"x-a", b"1\n"),
    "a whole answer in a value": (b"x-a", b"\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"),
    "a NUL in a value": (b"x-a", b"1\0"),
    "a line break in a name": (b"x-a: 1\r\nx-b", b"2"),
    "a line feed in a name": (b"x-a\n", b"1"),
    "a colon in a name": (b"x-a: 1", b"2"),
    "a space in a name": (b"x a", b"1"),
    "no name": (b"", b"1"),
    "a NUL in a name": (b"x\0a", b"1"),
    "a line break in a special value": (b"connection", b"x\r\nx-b: 2"),
    "a line break in a length": (b"content-length", b"5\r\nx-b: 2"),
    "a line break in the date": (b"date", b"now\r\nx-b: 2"),
}

NAMES = list(FIELDS)
PATHS = [f"/{index}" for index in range(len(NAMES))]


def field_of(path: str) -> tuple[bytes, bytes]:
    return FIELDS[NAMES[int(path[1:])]]


def handshake(path: str) -> bytes:
    key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
    return request(
        "GET", path, "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", key, "Sec-WebSocket-Protocol: chat"
    )


async def is_split(served: Served, data: bytes) -> bool:
    """Say whether anything but one sound 500 came."""
    client = await served.connect()
    await client.send(data)
    reply = await client.reply()
    split = (reply.status, "x-a" in reply, "x-b" in reply) != (500, False, False)
    if not split and reply["connection"] == "close":
        split = await client.rest() != b""
    await client.close()
    return split


def test_no_field_of_an_asgi_answer_becomes_two(run: Run) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await no_lifespan(scope)
        await answer(send, fields=[field_of(scope["path"])])

    async def main() -> None:
        async with serving(app) as served:
            assert [path for path in PATHS if await is_split(served, request("GET", path))] == []

    run(main())


def test_no_field_of_a_wsgi_answer_becomes_two(run: Run) -> None:
    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ["PATH_INFO"] == "/status":
            start_response("200 OK\r\nx-b: 2", [])
        else:
            start_response("200 OK", [tuple(text.decode("latin-1") for text in field_of(environ["PATH_INFO"]))])
        return [b"hello"]

    async def main() -> None:
        meter = CountingMeter()
        async with running(WsgiWorker(app, context(ServerOptions(linger=0.02), meter)), meter, listen()) as served:
            assert [path for path in PATHS if await is_split(served, request("GET", path))] == []
            # The reason is ours to say: what an application says instead of it is not sent.
            reply = await served.get("/status")
            assert (reply.status in {200, 500}, "x-b" in reply) == (True, False)

    run(main())


@pytest.mark.parametrize("denied", [False, True])
def test_no_field_of_a_websocket_answer_becomes_two(run: Run, denied: bool) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await no_lifespan(scope)
        await receive()
        if scope["path"] == "/protocol":
            await send({"type": "websocket.accept", "subprotocol": "chat\r\nx-b: 2"})
        elif denied:
            await send({"type": "websocket.http.response.start", "status": 403, "headers": [field_of(scope["path"])]})
            await send({"type": "websocket.http.response.body", "body": b"no"})
        else:
            await send({"type": "websocket.accept", "headers": [field_of(scope["path"])]})

    async def main() -> None:
        async with serving(app) as served:
            assert [path for path in [*PATHS, "/protocol"] if await is_split(served, handshake(path))] == []

    run(main())
