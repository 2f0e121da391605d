"""The framework's way from request to answer, over real sockets: on our edge directly, on it by ASGI, and on uvicorn.

Whatever serves, the same must reach the client.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from tests.unit.app.fakes import FakeApplication
from tests.web.edge import Client, CountingMeter, context, listen, request, running
from websockets.asyncio.client import connect

from tamago.app.asgi_exchange import AsgiExchange
from tamago.app.config.models import BodyParser
from tamago.app.context import Context
from tamago.app.dispatch import call_route, compile_dispatch
from tamago.app.event_stream import Event, EventStream
from tamago.app.middleware_setup import compile_chains
from tamago.app.websocket_dispatch import serve_websocket
from tamago.server.framework import FrameworkWorker
from tamago.server.worker import AsgiWorker
from tamago.types import ServerOptions

pytestmark = pytest.mark.anyio

FRONTS = ["edge", "edge by ASGI", "uvicorn"]


@pytest.fixture(params=[True, False], ids=["uvloop", "asyncio"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    return "asyncio", {"use_uvloop": request.param}


class Application(FakeApplication):
    """As much of an application as whoever serves one needs."""

    phases = ()

    mounts: tuple[bytes, ...] = ()
    threads_all_busy: Any = None

    def __init__(self, directory: Path) -> None:
        super().__init__(body_parser=BodyParser(json_limit=100))
        self.directory = directory
        self.closed = asyncio.Event()
        self.register()
        middlewares = self.built_in("meta", "notfound", "body_parser", "override_method")
        self.handle = compile_dispatch(self.context, *compile_chains(middlewares, call_route))

    def register(self) -> None:
        router = self.router
        router.get("/json/{id:int}", self.json)
        router.post("/echo", self.echo)
        router.get("/stream", self.stream)
        router.get("/broken", self.broken)
        router.get("/endless", self.endless)
        router.get("/events", self.events_of_three)
        router.get("/file/{name}", self.file)
        router.get("/cookie", self.cookie)
        router.websocket("/ws", self.shout)

    async def json(self, ctx: Context) -> None:
        ctx.body = {"id": ctx.params["id"], "q": ctx.query, "ip": ctx.ip, "protocol": ctx.protocol, "host": ctx.host}

    async def echo(self, ctx: Context) -> None:
        ctx.body = {"body": ctx.request.body, "size": len(await ctx.raw_body())}

    async def stream(self, ctx: Context) -> None:
        async def pieces() -> AsyncIterator[bytes]:
            for _ in range(100):
                yield b"x" * 10_000

        ctx.body = pieces()

    async def broken(self, ctx: Context) -> None:
        async def pieces() -> AsyncIterator[str]:
            yield "half"
            raise LookupError("the rest is lost")

        ctx.body = pieces()

    async def endless(self, ctx: Context) -> None:
        async def pieces() -> AsyncIterator[str]:
            try:
                yield "first"
                await asyncio.Event().wait()
            finally:
                self.closed.set()

        ctx.body = pieces()

    async def events_of_three(self, ctx: Context) -> None:
        async def numbers() -> AsyncIterator[Any]:
            yield 1
            yield "two"
            yield Event(data=3, id="3")

        ctx.body = EventStream(numbers())

    async def file(self, ctx: Context) -> None:
        ctx.body = self.directory / ctx.params["name"]

    async def cookie(self, ctx: Context) -> None:
        ctx.cookies.set("a", "b")
        ctx.body = ctx.cookies.get("a") or "none"

    async def shout(self, ctx: Context) -> None:
        async for message in ctx.websocket:
            await ctx.websocket.send(str(message).upper())

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "websocket":
            await serve_websocket(self.context, scope, receive, send)
            return
        assert scope["type"] == "http", "no lifespan"
        exchange = AsgiExchange(scope, receive, send)
        await self.handle(exchange)
        await exchange.finish()

    async def start(self) -> None: ...
    async def close(self) -> None: ...


class Site:
    """A served application and its clients."""

    def __init__(self, app: Application, address: tuple[str, int]) -> None:
        self.app = app
        self.address = address

    @contextlib.asynccontextmanager
    async def client(self) -> AsyncIterator[Client]:
        client = Client(*await asyncio.open_connection(*self.address))
        try:
            yield client
        finally:
            await client.close()


@pytest.fixture(params=FRONTS)
async def site(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Site]:
    app = Application(tmp_path)
    if request.param == "uvicorn":
        async with on_uvicorn(app) as address:
            yield Site(app, address)
        return
    meter = CountingMeter()
    options = context(ServerOptions(linger=0.02), meter)
    worker: Any = FrameworkWorker(app, options) if request.param == "edge" else AsgiWorker(app, options)  # type: ignore[arg-type]
    async with running(worker, meter) as served:
        yield Site(app, served.address)


@contextlib.asynccontextmanager
async def on_uvicorn(app: Any) -> AsyncIterator[tuple[str, int]]:
    listener = listen()
    server = uvicorn.Server(
        uvicorn.Config(app, log_config=None, timeout_keep_alive=120, lifespan="off", ws="websockets-sansio", timeout_graceful_shutdown=5)
    )
    started = asyncio.Event()
    before = server.startup

    async def startup(sockets: Any = None) -> None:
        await before(sockets)
        started.set()

    server.startup = startup  # type: ignore[method-assign]
    # Not `serve`, which takes over signals.
    task = asyncio.create_task(server._serve([listener]))
    await started.wait()
    try:
        yield listener.getsockname()
    finally:
        server.should_exit = True
        await task
        listener.close()


async def test_a_route_answers_json_and_the_connection_stays(site: Site) -> None:
    async with site.client() as client:
        for number in (1, 2):
            reply = await client.get(f"/json/{number}?a=1&a=2")
            assert (reply.status, reply["content-type"]) == (200, "application/json; charset=utf-8")
            assert reply.body == b'{"id":%d,"q":{"a":"1"},"ip":"127.0.0.1","protocol":"http","host":"test"}' % number
            assert reply["x-readtime"].isdigit()


@pytest.mark.parametrize("path", ["/nowhere", "/json/x"])
async def test_what_no_route_takes_is_404(site: Site, path: str) -> None:
    async with site.client() as client:
        reply = await client.get(path, "Accept: application/json")
        assert (reply.status, reply.body) == (404, b'{"message":"Not Found"}')


async def test_a_method_no_route_takes_is_405_and_options_say_which_do(site: Site) -> None:
    async with site.client() as client:
        await client.send(request("DELETE", "/echo"))
        reply = await client.reply()
        assert (reply.status, reply["allow"], reply.body) == (405, "POST, OPTIONS", b"Method Not Allowed")
        await client.send(request("OPTIONS", "/echo"))
        reply = await client.reply()
        assert (reply.status, reply["allow"], reply.body) == (204, "POST, OPTIONS", b"")


async def test_a_body_is_read_and_understood(site: Site) -> None:
    async with site.client() as client:
        await client.send(request("POST", "/echo", "Content-Type: application/json", body=b'{"a":[1]}'))
        assert (await client.reply()).body == b'{"body":{"a":[1]},"size":9}'
        chunks = b'5\r\n{"a":\r\n3\r\n[1]\r\n1\r\n}\r\n0\r\n\r\n'
        await client.send(request("POST", "/echo", "Content-Type: application/json", "Transfer-Encoding: chunked"), chunks)
        assert (await client.reply()).body == b'{"body":{"a":[1]},"size":9}'


async def test_a_body_over_the_limit_is_refused(site: Site) -> None:
    async with site.client() as client:
        await client.send(request("POST", "/echo", "Content-Type: application/json", body=b"[" + b"1," * 50 + b"1]"))
        reply = await client.reply()
        assert (reply.status, reply.body) == (413, b"request body is larger than 100 bytes")


async def test_a_stream_arrives_whole(site: Site) -> None:
    async with site.client() as client:
        reply = await client.get("/stream")
        assert (reply.status, reply.body) == (200, b"x" * 1_000_000)
        assert (await client.get("/json/1")).status == 200


async def test_a_stream_that_fails_does_not_look_complete(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    async with site.client() as client:
        await client.send(request("GET", "/broken"))
        await client.reader.readuntil(b"half")
        with contextlib.suppress(ConnectionResetError):
            assert b"0\r\n\r\n" not in await client.rest()
    assert "the rest is lost" in caplog.text


async def test_a_client_that_leaves_ends_an_endless_stream(site: Site) -> None:
    async with site.client() as client:
        await client.send(request("GET", "/endless"))
        await client.reader.readuntil(b"first")
        client.abort()
        await site.app.closed.wait()


async def test_events_arrive_as_browsers_read_them(site: Site) -> None:
    async with site.client() as client:
        reply = await client.get("/events")
        assert (reply["content-type"], reply["cache-control"]) == ("text/event-stream", "no-cache")
        assert reply.body.removeprefix(b":\n\n") == b"data: 1\n\ndata: two\n\nid: 3\ndata: 3\n\n"


async def test_head_is_a_get_without_its_body(site: Site) -> None:
    (site.app.directory / "a.txt").write_bytes(b"y" * 100_000)
    async with site.client() as client:
        for path, length in (("/json/1", None), ("/file/a.txt", "100000"), ("/stream", None)):
            await client.send(request("HEAD", path))
            reply = await client.reply(bodiless=True)
            assert reply.status == 200
            assert length is None or reply["content-length"] == length
        assert (await client.get("/json/2")).body.startswith(b'{"id":2')


@pytest.mark.parametrize("size", [0, 10, 1_000_000])
async def test_a_file_arrives_with_type_and_length(site: Site, size: int) -> None:
    (site.app.directory / "a.txt").write_bytes(b"y" * size)
    async with site.client() as client:
        reply = await client.get("/file/a.txt")
        assert (reply.status, reply["content-type"], reply["content-length"]) == (200, "text/plain; charset=utf-8", str(size))
        assert reply.body == b"y" * size
        assert (await client.get("/file/none")).status == 404


async def test_a_signed_cookie_comes_back(site: Site) -> None:
    async with site.client() as client:
        reply = await client.get("/cookie")
        assert reply.body == b"none"
        cookies = "; ".join(value.partition(";")[0] for name, value in reply.fields if name == "set-cookie")
        assert (await client.get("/cookie", f"Cookie: {cookies}")).body == b"b"


async def test_a_websocket_route_talks(site: Site) -> None:
    url = f"ws://{site.address[0]}:{site.address[1]}/ws"
    async with connect(url, compression=None) as websocket:
        await websocket.send("hello")
        assert await websocket.recv() == "HELLO"
