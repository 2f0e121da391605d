"""A whole application under tamago's own edge, in this process and over real sockets: without ASGI in between, and with."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from collections.abc import AsyncIterator
from typing import Any

import pytest
from fastapi import FastAPI, WebSocket
from flask import Flask, request as flask_request
from tests.unit.app.application.project import Project
from tests.web.edge import CountingMeter, Served, context, request, running, until
from websockets.asyncio.client import connect

from tamago.server.framework import FrameworkAgentLife, FrameworkWorker
from tamago.types import ServerOptions

pytestmark = pytest.mark.anyio

_CONTROLLER = """
    async def index(self):
        return "home"

    async def show(self, id: int, q: str = ""):
        return {"id": id, "q": q}

    async def echo(self, body: dict):
        return body

    async def who(self):
        return [self.ctx.ip, self.ctx.protocol, self.ctx.host, self.app.current_context is self.ctx]

    async def pieces(self):
        for _ in range(10):
            yield b"x" * 1000

    async def events(self):
        async def forever():
            try:
                yield "first"
                await asyncio.Event().wait()
            finally:
                self.app.stopped.set()
        return EventStream(forever())

    async def file(self):
        return self.app.directory / "big.bin"

    async def shout(self):
        async for message in self.ctx.websocket:
            await self.ctx.websocket.send(str(message).upper())

    def sync(self, id: int):
        self.app.inside.add(id)
        self.app.gate.wait(20)
        return [id, self.app.current_context.params["id"], self.app.current_context is self.ctx]

    async def fails(self):
        raise LookupError("before anything was sent")

    async def breaks(self):
        async def pieces():
            yield "half"
            raise LookupError("after it was sent")
        return pieces()

    async def refuses(self):
        self.ctx.throw(409, "taken", headers={"x-why": "because"})

    async def late(self):
        async def work(ctx):
            await self.app.release.wait()
            self.app.worked = ctx is self.ctx
        self.ctx.run_in_background(work)
        return "accepted"
"""
_ROUTES = """
    router.get("/", "home.index")
    router.get("/show/{id:int}", "home.show")
    router.post("/echo", "home.echo")
    router.get("/sync/{id:int}", "home.sync")
    for name in ("who", "pieces", "events", "file", "fails", "breaks", "refuses", "late"):
        router.get(f"/{name}", f"home.{name}")
    router.websocket("/ws", "home.shout")
"""


class Shop:
    """A served application."""

    def __init__(self, app: Any, served: Served) -> None:
        self.app = app
        self.served = served
        self.get = served.get

    @property
    def meter(self) -> CountingMeter:
        return self.served.meter


@contextlib.asynccontextmanager
async def serving(app: Any, **options: Any) -> AsyncIterator[Shop]:
    """Serve an application as a worker does, around the block. Options are those of ServerOptions."""
    meter = CountingMeter()
    worker: Any = FrameworkWorker(app, context(ServerOptions(**{"linger": 0.02, **options}), meter))
    app.stopped, app.release, app.gate, app.inside = asyncio.Event(), asyncio.Event(), threading.Event(), set()
    async with running(worker, meter) as served:
        await worker.ready()
        yield Shop(app, served)


@pytest.fixture
def loaded(site: Project) -> Any:
    site.controller(_CONTROLLER, _ROUTES)
    site.configure(threads={"size": 2})
    return site.load()


@pytest.fixture
async def shop(loaded: Any) -> AsyncIterator[Shop]:
    async with serving(loaded) as made:
        yield made


# ── answers ──────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_json_text_and_a_body_go_there_and_back(shop: Shop) -> None:
    client = await shop.served.connect()
    assert (await client.get("/")).body == b"home"
    reply = await client.get("/show/7?q=egg")
    assert (reply["content-type"], reply.body) == ("application/json; charset=utf-8", b'{"id":7,"q":"egg"}')
    await client.send(request("POST", "/echo", "Content-Type: application/json", body=b'{"a":[1,null]}'))
    assert (await client.reply()).body == b'{"a":[1,null]}'
    assert (await client.get("/show/x")).status == 404
    await client.send(request("POST", "/echo", "Content-Type: application/json", body=b"[1]"))
    assert (await client.reply()).status == 400
    assert shop.meter.requests == 5


async def test_head_405_and_options_are_answered_for_every_route(shop: Shop) -> None:
    client = await shop.served.connect()
    for path, status in (("/", 200), ("/show/1", 200), ("/pieces", 200), ("/nowhere", 404)):
        await client.send(request("HEAD", path))
        reply = await client.reply(bodiless=True)
        assert reply.status == status
    await client.send(request("DELETE", "/echo"))
    reply = await client.reply()
    assert (reply.status, reply["allow"]) == (405, "POST, OPTIONS")
    await client.send(request("OPTIONS", "/show/1"))
    reply = await client.reply()
    assert (reply.status, reply["allow"], reply.body) == (204, "GET, HEAD, OPTIONS", b"")


async def test_a_stream_and_a_file_arrive_whole(shop: Shop) -> None:
    data = bytes(range(256)) * 2000
    (shop.app.directory / "big.bin").write_bytes(data)
    client = await shop.served.connect()
    assert (await client.get("/pieces")).body == b"x" * 10_000
    reply = await client.get("/file")
    assert (reply.body == data, reply["content-length"]) == (True, str(len(data)))


async def test_a_reader_of_events_who_leaves_ends_their_stream(shop: Shop) -> None:
    client = await shop.served.connect()
    await client.send(request("GET", "/events"))
    await client.reader.readuntil(b"data: first\n\n")
    client.abort()
    await asyncio.wait_for(shop.app.stopped.wait(), 20)


async def test_a_websocket_talks(shop: Shop) -> None:
    url = shop.served.url.replace("http", "ws")
    async with connect(f"{url}/ws") as websocket:
        await websocket.send("egg")
        assert await websocket.recv() == "EGG"
    with pytest.raises(Exception, match="404"):
        async with connect(f"{url}/nowhere"):
            pass


# ── errors ───────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_an_error_before_the_answer_is_an_answer_and_the_connection_stays(shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
    client = await shop.served.connect()
    reply = await client.get("/fails", "Accept: application/json")
    assert reply.status == 500
    assert "before anything was sent" in caplog.text
    reply = await client.get("/refuses", "Accept: application/json")
    assert (reply.status, reply["x-why"], json.loads(reply.body)["message"]) == (409, "because", "taken")
    assert (await client.get("/")).body == b"home"


async def test_an_error_within_the_answer_cuts_it(shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
    client = await shop.served.connect()
    await client.send(request("GET", "/breaks"))
    await client.reader.readuntil(b"half")
    with contextlib.suppress(ConnectionResetError):
        assert b"0\r\n\r\n" not in await client.rest()
    assert "after it was sent" in caplog.text
    assert (await shop.get("/")).status == 200


# ── sync handlers ────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_sync_handlers_run_in_threads_with_their_context_and_a_full_pool_is_told(shop: Shop) -> None:
    clients = [await shop.served.connect() for _ in range(3)]
    for number, client in enumerate(clients):
        await client.send(request("GET", f"/sync/{number}"))
    await until(lambda: shop.meter.in_flight == 3 and len(shop.app.inside) == 2)
    assert shop.meter.busy == [True], "two threads, and both are taken"
    assert (await shop.get("/")).body == b"home", "the loop itself is free"
    shop.app.gate.set()
    for number, client in enumerate(clients):
        assert (await client.reply()).body == b"[%d,%d,true]" % (number, number)
    assert shop.meter.busy[-1] is False


async def test_without_a_number_of_its_own_an_application_has_the_threads_of_its_worker(site: Project) -> None:
    site.controller(_CONTROLLER, _ROUTES)
    async with serving(site.load(), threads=3) as shop:
        clients = [await shop.served.connect() for _ in range(4)]
        for number, client in enumerate(clients):
            await client.send(request("GET", f"/sync/{number}"))
        await until(lambda: shop.meter.in_flight == 4 and len(shop.app.inside) == 3)
        assert shop.meter.busy == [True]
        shop.app.gate.set()
        for client in clients:
            assert (await client.reply()).status == 200


# ── proxies ──────────────────────────────────────────────────────────────────────────────────────────────────────────

_FORWARDED = ("X-Forwarded-For: 203.0.113.9", "X-Forwarded-Proto: https")


async def test_only_a_trusted_proxy_says_who_asks(loaded: Any) -> None:
    async with serving(loaded, trusted_proxies=("127.0.0.1",)) as shop:
        reply = await shop.get("/who", *_FORWARDED)
        assert json.loads(reply.body) == ["203.0.113.9", "https", "test", True]
        assert json.loads((await shop.get("/who")).body)[:2] == ["127.0.0.1", "http"]


async def test_nobody_else_says_who_asks(shop: Shop) -> None:
    assert json.loads((await shop.get("/who", *_FORWARDED)).body)[:2] == ["127.0.0.1", "http"]


# ── mounted applications ─────────────────────────────────────────────────────────────────────────────────────────────


def fastapi() -> FastAPI:
    inner = FastAPI()

    @inner.get("/who/{name}")
    async def who(name: str) -> dict[str, str]:
        return {"name": name}

    @inner.websocket("/ws")
    async def shout(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send_text((await websocket.receive_text()).upper())
        await websocket.close()

    return inner


def flask() -> Flask:
    inner = Flask("inner")

    @inner.post("/echo/<name>")
    def echo(name: str) -> dict[str, Any]:
        return {"name": name, "root": flask_request.script_root, "body": flask_request.get_data(as_text=True)}

    return inner


@pytest.mark.parametrize("root", ["", "/shop"])
async def test_mounted_applications_answer_below_their_prefix(loaded: Any, root: str) -> None:
    loaded.mount("/fast", fastapi())
    loaded.mount("/flask", flask())
    async with serving(loaded, root_path=root) as shop:
        client = await shop.served.connect()
        assert json.loads((await client.get("/fast/who/egg")).body) == {"name": "egg"}
        await client.send(request("POST", "/flask/echo/egg", body=b"hello"))
        assert json.loads((await client.reply()).body) == {"name": "egg", "root": f"{root}/flask", "body": "hello"}
        assert (await client.get("/fast/nowhere")).status == 404
        assert (await client.get("/")).body == b"home"
        url = shop.served.url.replace("http", "ws")
        async with connect(f"{url}/fast/ws") as websocket:
            await websocket.send("egg")
            assert await websocket.recv() == "EGG"


@pytest.mark.parametrize(("own", "of_worker", "threads"), [(2, 4, 2), (None, 3, 3)])
async def test_a_mounted_wsgi_application_has_as_many_threads_as_are_configured(
    site: Project, own: int | None, of_worker: int, threads: int
) -> None:
    site.configure(**({} if own is None else {"threads": {"size": own}}))
    together, app = threading.Barrier(threads, timeout=20), site.load()

    def name_of_thread(environ: Any, start_response: Any) -> list[bytes]:
        together.wait()
        start_response("200 OK", [("content-type", "text/plain")])
        return [threading.current_thread().name.encode()]

    app.mount("/old", name_of_thread)
    async with serving(app, threads=of_worker) as shop:
        clients = [await shop.served.connect() for _ in range(3 * threads)]
        for client in clients:
            await client.send(request("GET", "/old"))
        names = {(await client.reply()).body for client in clients}
        assert names == {b"request-%d" % (number + 1) for number in range(threads)}
        assert shop.meter.busy == [], "slow clients of the bridge must not look like a worker that hangs"


@pytest.mark.parametrize("target", ["/%66ast/who/egg", "http://test/fast/who/egg", "/fast/who/%65gg", "/fast?x", "/fast/who/egg?x=1"])
async def test_a_mounted_application_is_found_however_its_path_is_written(loaded: Any, target: str) -> None:
    inner = fastapi()
    inner.get("/", response_model=None)(lambda: {"name": "egg"})
    loaded.mount("/fast", inner)
    async with serving(loaded) as shop:
        client = await shop.served.connect()
        reply = await client.get(target)
        if reply.status == 307:  # Starlette wants a slash
            reply = await client.get(reply["location"].removeprefix("http://test"))
        assert json.loads(reply.body) == {"name": "egg"}


async def test_a_path_that_only_begins_like_a_mount_belongs_to_the_application(loaded: Any) -> None:
    loaded.mount("/sho", fastapi())
    async with serving(loaded) as shop:
        assert (await shop.get("/show/7")).body == b'{"id":7,"q":""}'


# ── the end ──────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_work_a_request_left_in_the_background_is_finished_before_the_process_ends(loaded: Any) -> None:
    loaded.worked = None
    closed: list[Any] = []
    loaded.before_close(lambda: closed.append(loaded.worked))
    async with serving(loaded) as shop:
        assert (await shop.get("/late")).body == b"accepted"
        loaded.on("close", lambda: closed.append("close"))
        asyncio.get_running_loop().call_later(0, lambda: asyncio.get_running_loop().call_soon(loaded.release.set))
    assert closed == ["close", True]


async def test_the_life_of_an_agent_is_led_by_the_cluster(site: Project) -> None:
    from tamago.app import Agent

    agent: Any = Agent.load(site.directory)
    life = FrameworkAgentLife(agent)
    await life.start()
    await life.ready()
    assert agent.ready.is_ready
    assert "unfinished: no hook" in life.progress()
    await life.stop()
