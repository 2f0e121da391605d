"""A whole application as an ASGI application: under uvicorn, over httpx, and what is mounted in it."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import uvicorn
from fastapi import FastAPI, Request
from flask import Flask
from tests.unit.app.application.project import Project, boot
from tests.web.edge import Client, listen, request, until
from uvicorn.lifespan.on import LifespanOn
from websockets.asyncio.client import connect

from tamago.app.mounts import MountError
from tamago.errors import TamagoError

pytestmark = pytest.mark.anyio

_ROUTES = """
    router.get("/", "home.index")
    router.post("/echo", "home.echo")
    router.get("/events", "home.events")
    router.get("/endless", "home.endless")
    router.websocket("/ws", "home.shout")
"""
_CONTROLLER = """
    async def index(self):
        return {"ip": self.ctx.ip, "current": self.app.current_context is self.ctx}

    async def echo(self, body: dict):
        return body

    async def events(self):
        async def numbers():
            yield 1
            yield Event(data={"n": 2}, id="2")
        return EventStream(numbers())

    async def endless(self):
        async def forever():
            try:
                yield "first"
                await asyncio.Event().wait()
            finally:
                self.app.stopped.set()
        return EventStream(forever())

    async def shout(self):
        async for message in self.ctx.websocket:
            await self.ctx.websocket.send(str(message).upper())
"""
_LIFE = """
    def __init__(self, app):
        super().__init__(app)
        app.told = []
        app.on("close", lambda: app.told.append("close"))
    async def did_load(self): self.app.stopped = asyncio.Event()
    async def server_did_ready(self): self.app.told.append("server_did_ready")
    async def before_close(self): self.app.told.append("before_close")
"""


@pytest.fixture
def shop(site: Project) -> Project:
    site.controller(_CONTROLLER, _ROUTES)
    site.write({"app/boot.py": boot(_LIFE)})
    return site


@contextlib.asynccontextmanager
async def on_uvicorn(app: Any, **options: Any) -> AsyncIterator[tuple[str, int]]:
    """Serve on uvicorn, lifespan and all."""
    listener = listen()
    config = uvicorn.Config(
        app, log_config=None, timeout_keep_alive=120, lifespan="on", ws="websockets-sansio", timeout_graceful_shutdown=5, **options
    )
    server = uvicorn.Server(config)
    task = asyncio.create_task(server._serve([listener]))  # not `serve`, which takes over signals
    await until(lambda: server.started or task.done())
    try:
        yield listener.getsockname()
    finally:
        server.should_exit = True
        await task
        listener.close()


def http(app: Any, **options: Any) -> httpx.AsyncClient:
    """Return a client that calls the application in this process."""
    return httpx.AsyncClient(transport=httpx.ASGITransport(app, **options), base_url="http://testserver")


@contextlib.asynccontextmanager
async def started(app: Any) -> AsyncIterator[None]:
    """Have an application run in the block."""
    await app.start()
    try:
        yield
    finally:
        await app.close()


# ── uvicorn ──────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_uvicorn_leads_an_application_through_its_life(shop: Project) -> None:
    app = shop.load()
    async with on_uvicorn(app) as address:
        assert app.told == ["server_did_ready"]
        async with httpx.AsyncClient(base_url=f"http://{address[0]}:{address[1]}") as client:
            assert (await client.get("/")).json() == {"ip": "127.0.0.1", "current": True}
            assert (await client.post("/echo", json={"a": [1]})).json() == {"a": [1]}
            assert (await client.get("/nowhere", headers={"accept": "application/json"})).json() == {"message": "Not Found"}
            assert (await client.request("DELETE", "/echo")).status_code == 405
            async with client.stream("GET", "/events") as answer:
                text = "".join([piece async for piece in answer.aiter_text()])
            assert 'data: 1\n\nid: 2\ndata: {"n":2}\n\n' in text
        async with connect(f"ws://{address[0]}:{address[1]}/ws") as websocket:
            await websocket.send("egg")
            assert await websocket.recv() == "EGG"
    assert app.told == ["server_did_ready", "close", "before_close"]


async def test_a_reader_who_leaves_ends_an_endless_stream_on_uvicorn(shop: Project) -> None:
    app = shop.load()
    async with on_uvicorn(app) as address:
        client = Client(*await asyncio.open_connection(*address))
        await client.send(request("GET", "/endless"))
        await client.reader.readuntil(b"data: first")
        client.abort()
        await asyncio.wait_for(app.stopped.wait(), 20)


async def test_uvicorn_is_told_why_an_application_does_not_start(shop: Project, caplog: pytest.LogCaptureFixture) -> None:
    shop.write({"app/boot.py": boot("def did_load(self):\n    raise LookupError('no database')")})
    asked = LifespanOn(uvicorn.Config(shop.load(), log_config=None, lifespan="on"))
    await asked.startup()
    assert asked.should_exit
    assert "no database" in caplog.text


# ── lifespan, message by message ─────────────────────────────────────────────────────────────────────────────────────


async def lifespan(app: Any) -> list[Any]:
    """Lead an application through its life and return what it says."""
    said: list[Any] = []
    asked = iter(["lifespan.startup", "lifespan.shutdown"])

    async def receive() -> Any:
        return {"type": next(asked)}

    async def send(message: Any) -> None:
        said.append(message)

    await app({"type": "lifespan", "asgi": {"version": "3.0"}}, receive, send)
    return said


async def test_lifespan_answers_each_phase(shop: Project) -> None:
    assert await lifespan(shop.load()) == [{"type": "lifespan.startup.complete"}, {"type": "lifespan.shutdown.complete"}]


@pytest.mark.parametrize(("hook", "phase"), [("will_ready", "startup"), ("before_close", "shutdown")])
async def test_lifespan_tells_of_failures(shop: Project, caplog: pytest.LogCaptureFixture, hook: str, phase: str) -> None:
    shop.write({"app/boot.py": boot(f"async def {hook}(self):\n    raise LookupError('broken')")})
    said = await lifespan(shop.load())
    assert said[-1] == {"type": f"lifespan.{phase}.failed", "message": f"LookupError: broken (in app/boot.py:{hook})"}
    assert f"in {hook}\n" in caplog.text
    assert "src/tamago" not in caplog.text


async def test_what_is_wrong_with_an_application_is_told_without_a_traceback(shop: Project, caplog: pytest.LogCaptureFixture) -> None:
    shop.configure(middleware=["gzipp"])
    (said,) = await lifespan(shop.load())
    assert said["message"].startswith("there is no middleware 'gzipp'")
    assert "Traceback" not in caplog.text


# ── httpx ────────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_httpx_calls_a_started_application(shop: Project) -> None:
    async with shop.running() as app, http(app, client=("1.2.3.4", 5)) as client:
        answer = await client.get("/")
        assert answer.json() == {"ip": "1.2.3.4", "current": True}
        assert answer.headers["x-readtime"].isdigit()
        assert (await client.head("/")).content == b""
        assert (await client.options("/echo")).headers["allow"] == "POST, OPTIONS"
        assert app.current_context is None


async def test_an_application_that_was_not_started_says_so(shop: Project) -> None:
    app = shop.load()
    async with http(app) as client:
        with pytest.raises(TamagoError, match="has not started") as caught:
            await client.get("/")
    assert "lifespan" in caught.value.hint


async def test_a_root_path_hides_no_mount_and_no_route(shop: Project) -> None:
    inner = FastAPI()
    inner.get("/")(lambda: {"inner": True})
    app = mounting(shop, [], inner=inner)
    async with started(app), http(app, root_path="/shop") as client:
        assert (await client.get("/shop/")).json()["current"] is True
        assert (await client.get("/shop/inner/")).json() == {"inner": True}
        assert (await client.get("/inner/")).json() == {"inner": True}


# ── mounted applications ─────────────────────────────────────────────────────────────────────────────────────────────


def fastapi(told: list[str], fails: str = "") -> FastAPI:
    @contextlib.asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        told.append("mounted startup")
        if fails == "startup":
            raise LookupError("mounted application failed")
        yield
        told.append("mounted shutdown")
        if fails == "shutdown":
            raise LookupError("mounted application failed")

    inner = FastAPI(lifespan=life)
    inner.get("/who/{name}")(lambda name: {"name": name})
    return inner


def mounting(site: Project, told: list[str], hook: str = "config_did_load", **apps: Any) -> Any:
    """Return an application that mounts others in a hook of its boot class."""
    lines = "\n".join(f"    self.app.mount('/{prefix}', self.app.others[{prefix!r}])" for prefix in apps)
    site.write(
        {"app/boot.py": boot(f"async def {hook}(self):\n{lines}\nasync def before_close(self): self.app.told.append('before_close')")}
    )
    app = site.load()
    app.others, app.told = apps, told
    app.ready(lambda: told.append("ready"))
    return app


async def test_an_application_is_mounted_before_the_start_or_not_at_all(shop: Project) -> None:
    async with shop.running() as app:
        with pytest.raises(MountError, match="has started") as caught:
            app.mount("/late", FastAPI())
    assert "boot class" in caught.value.hint


@pytest.mark.parametrize("hook", ["config_will_load", "config_did_load", "did_load", "will_ready"])
async def test_a_mounted_application_is_started_before_ready_and_ends_after_the_hooks(shop: Project, hook: str) -> None:
    told: list[str] = []
    app = mounting(shop, told, hook, fast=fastapi(told))
    await app.start()
    async with http(app) as client:
        assert (await client.get("/fast/who/egg")).json() == {"name": "egg"}
        assert (await client.get("/fast/nowhere")).status_code == 404
        assert (await client.get("/faster")).status_code == 404
    await app.close()
    assert told == ["mounted startup", "ready", "before_close", "mounted shutdown"]


async def test_a_mounted_application_that_fails_ends_the_start_and_nothing_is_left(shop: Project) -> None:
    told: list[str] = []
    before = asyncio.all_tasks()
    app = mounting(shop, told, good=fastapi(told), bad=fastapi([], fails="startup"))
    with pytest.raises(MountError, match="failed at startup"):
        await app.start()
    assert isinstance(app.ready.error, MountError)
    assert told == ["mounted startup", "before_close", "mounted shutdown"]
    assert asyncio.all_tasks() == before


async def test_a_mounted_application_that_fails_to_end_keeps_no_other_from_it(shop: Project) -> None:
    told: list[str] = []
    app = mounting(shop, told, good=fastapi(told), bad=fastapi([], fails="shutdown"))
    await app.start()
    with pytest.raises(MountError, match="failed at shutdown"):
        await app.close()
    assert told == ["mounted startup", "ready", "before_close", "mounted shutdown"]


async def test_a_mounted_application_that_never_ends_is_left_with_its_time(shop: Project) -> None:
    async def endless(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await asyncio.Event().wait()

    shop.configure(close_timeout=0.02)
    app = mounting(shop, [], endless=endless)
    await app.start()
    with pytest.raises(TamagoError, match=r"mounted|did not finish"):
        await app.close()
    # It was cancelled, and goes on its own.
    await asyncio.wait_for(until(lambda: not [task for task in asyncio.all_tasks() if "mounted" in task.get_name()]), 20)


async def test_what_a_mounted_application_keeps_from_its_start_is_in_its_requests(shop: Project) -> None:
    @contextlib.asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[dict[str, str]]:
        yield {"database": "opened"}

    inner = FastAPI(lifespan=life)

    @inner.get("/")
    def index(asked: Request) -> list[str | None]:
        seen = [asked.state.database, getattr(asked.state, "left", None)]
        asked.state.left = "by the request before"
        return seen

    app = mounting(shop, [], inner=inner)
    async with started(app), http(app) as client:
        for _ in range(2):
            assert (await client.get("/inner/")).json() == ["opened", None]


async def test_a_mounted_wsgi_application_is_told_where_it_is(shop: Project) -> None:
    threads = set(threading.enumerate())
    flask = Flask("inner")

    @flask.get("/who/<name>")
    def who(name: str) -> dict[str, str]:
        from flask import request as asked

        return {"name": name, "root": asked.script_root}

    app = mounting(shop, [], flask=flask)
    await app.start()
    async with http(app) as client:
        assert (await client.get("/flask/who/egg")).json() == {"name": "egg", "root": "/flask"}
    assert set(threading.enumerate()) > threads
    await app.close()
    for thread in set(threading.enumerate()) - threads:
        thread.join(20)  # its threads were told to end
        assert not thread.is_alive()
