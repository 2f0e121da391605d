"""Websockets of the frameworks people use: the same claims hold under tamago and under uvicorn."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import uvicorn
from tests.web.apps import no_lifespan
from tests.web.conftest import Run
from tests.web.edge import listen, serving, until
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tamago.server.asgi import AsgiApp, Receive, Scope, Send


def plain() -> AsgiApp:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await no_lifespan(scope)
        await receive()
        if scope["path"] == "/closed":
            await send({"type": "websocket.close"})
            return
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] == "websocket.receive":
            if message.get("text") == "bye":
                await send({"type": "websocket.close", "code": 4001, "reason": "enough"})
                return
            await send({**message, "type": "websocket.send"})

    return app


async def _converse(accept: Any, receive: Any, send: Any, close: Any) -> None:
    """What each framework does with its own words."""
    await accept()
    while True:
        text = await receive()
        if text == "bye":
            await close(code=4001, reason="enough")
            return
        await send(text)


def starlette() -> AsgiApp:
    from starlette.applications import Starlette
    from starlette.routing import WebSocketRoute
    from starlette.websockets import WebSocket

    async def echo(websocket: WebSocket) -> None:
        await _converse(websocket.accept, websocket.receive_text, websocket.send_text, websocket.close)

    async def closed(websocket: WebSocket) -> None:
        await websocket.close()

    return Starlette(routes=[WebSocketRoute("/echo", echo), WebSocketRoute("/closed", closed)])


def fastapi() -> AsgiApp:
    from fastapi import FastAPI, WebSocket

    async def echo(websocket: Any) -> None:
        await _converse(websocket.accept, websocket.receive_text, websocket.send_text, websocket.close)

    async def closed(websocket: Any) -> None:
        await websocket.close()

    app = FastAPI()
    for name, route in (("/echo", echo), ("/closed", closed)):
        route.__annotations__["websocket"] = WebSocket  # a name that a local import could not be resolved by
        app.add_api_websocket_route(name, route)
    return app


def litestar() -> AsgiApp:
    from litestar import Litestar, WebSocket, websocket

    async def echo(socket: Any) -> None:
        await _converse(socket.accept, socket.receive_text, socket.send_text, socket.close)

    async def closed(socket: Any) -> None:
        await socket.close()

    for route in (echo, closed):
        route.__annotations__ = {"socket": WebSocket, "return": None}
    app: AsgiApp = Litestar([websocket("/echo")(echo), websocket("/closed")(closed)], openapi_config=None)  # type: ignore[assignment]
    return app


def quart() -> AsgiApp:
    from quart import Quart, websocket

    async def echo() -> None:
        await _converse(websocket.accept, websocket.receive, websocket.send, websocket.close)

    async def closed() -> None:
        await websocket.close(1000)

    app = Quart("shop")
    app.add_websocket("/echo", "echo", echo)
    app.add_websocket("/closed", "closed", closed)
    return app  # type: ignore[return-value]


@contextlib.asynccontextmanager
async def under_tamago(app: AsgiApp) -> AsyncIterator[str]:
    async with serving(app) as served:
        yield "ws" + served.url.removeprefix("http")


@contextlib.asynccontextmanager
async def under_uvicorn(app: AsgiApp) -> AsyncIterator[str]:
    listener = listen()
    config = uvicorn.Config(app, ws="websockets-sansio", log_config=None, timeout_keep_alive=120, access_log=False, lifespan="auto")
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    await until(lambda: server.started)
    host, port = listener.getsockname()
    try:
        yield f"ws://{host}:{port}"
    finally:
        server.should_exit = True
        await serving


Server = Callable[[AsgiApp], contextlib.AbstractAsyncContextManager[str]]


@pytest.mark.parametrize("make", [plain, starlette, fastapi, litestar, quart])
@pytest.mark.parametrize("server", [under_tamago, under_uvicorn])
@pytest.mark.slow
def test_a_framework_speaks_over_websockets(
    run: Run, server: Server, make: Callable[[], AsgiApp], caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        async with server(make()) as url:
            async with connect(f"{url}/echo", proxy=None) as ws:
                for text in ("hi", "é" * 5000, ""):
                    await ws.send(text)
                    assert await ws.recv() == text
                await ws.send("bye")
                with pytest.raises(ConnectionClosed) as caught:
                    await ws.recv()
                assert caught.value.rcvd is not None
                assert (caught.value.rcvd.code, caught.value.rcvd.reason) == (4001, "enough")
            async with connect(f"{url}/echo", proxy=None) as ws:
                await ws.send("leaving")
                assert await ws.recv() == "leaving"
            with pytest.raises(InvalidStatus) as refused:
                await connect(f"{url}/closed", proxy=None)
            assert refused.value.response.status_code == 403

    run(main())
    if server is under_tamago:
        assert [record for record in caplog.records if record.name.startswith("tamago") and record.levelno >= logging.WARNING] == []
