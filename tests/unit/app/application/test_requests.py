"""Requests to a whole application, whoever serves it: what middleware, routes, binding, cookies and configuration make of them together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from tests.unit.app.application.project import Project

from tamago.errors import TamagoError

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def visiting(site: Project, *, env: str | None = None) -> AsyncIterator[tuple[Any, httpx.AsyncClient]]:
    """Have the application run in the block, and a client that keeps its cookies."""
    async with (
        site.running(env=env) as app,
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://shop.example") as client,
    ):
        yield app, client


async def test_signed_cookies_come_back_and_old_keys_are_still_known(site: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    site.controller(
        """
        async def save(self):
            self.ctx.cookies.set("who", "egg", encrypt=False)
            self.ctx.cookies.set("safe", "yolk", encrypt=True)
            return "saved"

        async def show(self):
            return [self.ctx.cookies.get("who"), self.ctx.cookies.get("safe", encrypt=True)]
        """,
        "router.post('/', 'home.save')\nrouter.get('/', 'home.show')",
    )
    site.configure(keys="old")
    async with visiting(site) as (_, client):
        await client.post("/")
        assert (await client.get("/")).json() == ["egg", "yolk"]
        cookies = dict(client.cookies)
        assert "yolk" not in cookies["safe"]
    monkeypatch.setenv("TAMAGO__KEYS", "new,old")
    async with visiting(site) as (_, client):
        assert (await client.get("/", headers={"cookie": "who=other; who.sig=forged"})).json()[0] is None
        client.cookies.update(cookies)
        assert (await client.get("/")).json() == ["egg", "yolk"]


async def test_without_keys_nothing_is_signed_and_the_error_says_what_to_do(site: Project, caplog: pytest.LogCaptureFixture) -> None:
    site.controller("async def index(self):\n    self.ctx.cookies.set('a', 'b')\n    return 'x'", "router.get('/', 'home.index')")
    async with visiting(site) as (_, client):
        assert (await client.get("/")).status_code == 500
    assert "config.keys is empty" in caplog.text


async def test_a_request_that_takes_too_long_is_503_and_its_handler_is_cancelled(site: Project) -> None:
    site.controller(
        """
        async def slow(self):
            try:
                await asyncio.Event().wait()
            finally:
                self.app.cancelled = True
        """,
        "router.get('/slow', 'home.slow')\nrouter.get('/slower', 'home.slow', timeout=0.02)",
    )
    site.configure(request_timeout={"seconds": 0.01})
    async with visiting(site) as (app, client):
        for path in ("/slow", "/slower"):
            app.cancelled = False
            assert (await client.get(path)).status_code == 503
            assert app.cancelled


async def test_a_route_has_a_timeout_of_its_own_where_the_application_has_none(site: Project) -> None:
    site.controller(
        """
        async def slow(self):
            await asyncio.Event().wait()

        @get("/decorated", timeout=0.01)
        async def decorated(self):
            await asyncio.Event().wait()
        """,
        "router.get('/slow', 'home.slow', timeout=0.01)",
    )
    async with visiting(site) as (_, client):
        for path in ("/slow", "/decorated"):
            async with asyncio.timeout(5):
                assert (await client.get(path)).status_code == 503


async def test_a_form_may_override_the_method_and_is_bound(site: Project) -> None:
    site.controller(
        "async def remove(self, id: int):\n    return {'removed': id, 'form': self.ctx.request.body}",
        "router.delete('/{id:int}', 'home.remove')",
    )
    async with visiting(site) as (_, client):
        answer = await client.post("/7", data={"_method": "DELETE", "why": "old"})
        assert answer.json() == {"removed": 7, "form": {"_method": "DELETE", "why": "old"}}


async def test_resources_groups_and_names_work_together(site: Project) -> None:
    site.controller(
        """
        async def index(self):
            return [self.app.url_for("post", id=1), self.ctx.state.get("by")]

        async def show(self, id: int):
            return {"id": id}

        async def create(self):
            self.ctx.status = 201
            return self.app.url_for("posts", page=2)
        """,
        name="post",
    )
    site.write(
        {
            "app/router.py": (
                "async def guard(ctx, call_next):\n    ctx.state['by'] = 'guard'\n    await call_next(ctx)\n\n"
                "def routes(router):\n"
                "    with router.group('/api', middleware=[guard]) as api:\n"
                "        api.resources('/posts', 'post', name='posts')\n"
            )
        }
    )
    async with visiting(site) as (_, client):
        assert (await client.get("/api/posts")).json() == ["/api/posts/1", "guard"]
        assert (await client.get("/api/posts/7")).json() == {"id": 7}
        answer = await client.post("/api/posts")
        assert (answer.status_code, answer.text) == (201, "/api/posts?page=2")
        assert (await client.delete("/api/posts/7")).status_code == 405


async def test_a_host_has_routes_of_its_own_and_all_those_of_any_host(site: Project) -> None:
    site.controller(
        """
        async def any(self):
            return "any"

        async def own(self):
            return f"own of {self.ctx.host}"
        """,
        """
        router.get("/", "home.any")
        router.get("/about", "home.any")
        with router.group(host="*.shop.example") as tenants:
            tenants.get("/", "home.own")
            tenants.get("/tenant", "home.own")
        """,
    )

    async def texts(client: httpx.AsyncClient, host: str) -> list[str]:
        answers = [await client.get(path, headers={"host": host}) for path in ("/", "/tenant", "/about")]
        return [answer.text if answer.status_code == 200 else str(answer.status_code) for answer in answers]

    async with visiting(site) as (_, client):
        assert await texts(client, "shop.example") == ["any", "404", "any"]
        assert await texts(client, "A.shop.example:8000") == ["own of A.shop.example:8000", "own of A.shop.example:8000", "any"]
        assert (await client.post("/tenant", headers={"host": "a.shop.example"})).status_code == 405


async def test_the_parameters_of_a_route_without_any_are_an_empty_dict_that_stays_empty(site: Project) -> None:
    site.controller(
        """
        async def index(self):
            return {"params": self.ctx.params, **self.ctx.params}

        async def write(self):
            self.ctx.params["user"] = "of everybody"
        """,
        "router.get('/', 'home.index')\nrouter.get('/write', 'home.write')\nrouter.get('/{id:int}', 'home.index')",
    )
    async with visiting(site) as (_, client):
        assert (await client.get("/write")).status_code == 500
        assert (await client.get("/")).json() == {"params": {}}
        assert (await client.get("/7")).json() == {"params": {"id": 7}, "id": 7}


async def test_what_is_bound_wrongly_is_400_with_all_problems(site: Project) -> None:
    site.controller("async def index(self, page: int, size: int = 10):\n    return [page, size]", "router.get('/', 'home.index')")
    async with visiting(site) as (_, client):
        answer = await client.get("/?page=x&size=y", headers={"accept": "application/json"})
        assert answer.status_code == 400
        assert "page" in answer.text
        assert "size" in answer.text


async def test_a_route_whose_handler_cannot_be_called_ends_the_start(site: Project) -> None:
    site.controller("async def show(self, id: int):\n    return id", "router.get('/things', 'home.show')\nrouter.get('/x', 'home.shw')")
    with pytest.raises(TamagoError, match=r"did you mean 'home\.show'"):
        await site.load().start()


async def test_a_request_id_is_told_and_taken_over_when_trusted(site: Project) -> None:
    site.controller("async def index(self):\n    return self.ctx.request_id", "router.get('/', 'home.index')")
    site.configure(request_id={"enable": True, "trust": True})
    async with visiting(site) as (_, client):
        answer = await client.get("/")
        assert answer.headers["x-request-id"] == answer.text
        assert (await client.get("/", headers={"x-request-id": "abc-123"})).text == "abc-123"


async def test_files_of_the_application_are_served_and_no_others(site: Project) -> None:
    site.write({"app/public/style.css": "body {}", "app/public/.hidden": "secret"})
    async with visiting(site) as (_, client):
        answer = await client.get("/public/style.css")
        assert (answer.text, answer.headers["content-type"]) == ("body {}", "text/css; charset=utf-8")
        for path in ("/public/.hidden", "/public/../router.py", "/public/%2e%2e/boot.py"):
            assert (await client.get(path)).status_code == 404


@pytest.mark.parametrize(("env", "told"), [("local", True), ("prod", False)])
async def test_a_failure_is_explained_where_people_develop_and_nowhere_else(
    site: Project, env: str, told: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TAMAGO_HOME", str(site.directory.parent))
    site.controller("async def index(self):\n    raise LookupError('the secret inside')", "router.get('/', 'home.index')")
    async with visiting(site, env=env) as (_, client):
        for accept in ("text/html", "application/json"):
            answer = await client.get("/", headers={"accept": accept})
            assert answer.status_code == 500
            assert ("the secret inside" in answer.text) is told
            assert answer.headers["x-content-type-options"] == "nosniff"


async def test_a_client_that_is_cancelled_cancels_its_handler_only(site: Project) -> None:
    site.controller(
        """
        async def wait(self):
            self.app.arrived.set()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                self.app.cancelled = True
                raise
        """,
        "router.get('/', 'home.wait')",
    )
    async with visiting(site) as (app, client):
        app.arrived, app.cancelled = asyncio.Event(), False
        asking = asyncio.create_task(client.get("/"))
        await app.arrived.wait()
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        assert app.cancelled
        assert app.current_context is None
        assert (await client.get("/nowhere")).status_code == 404


@pytest.mark.parametrize("around", ["nothing", "the route", "the application"])
async def test_what_the_handler_returns_is_the_body_and_what_middleware_returns_is_not(site: Project, around: str) -> None:
    middleware = "async def middleware(ctx, call_next):\n    await call_next(ctx)\n    ctx.set('x-seen', ctx.body)\n    return 'mine'\n"
    site.write({"app/middleware/seeing.py": middleware})
    site.controller("async def show(self, id: int):\n    return f'number {id}'", "")
    wrapped = "from app.middleware.seeing import middleware\n" if around == "the route" else ""
    route = "middleware, " if around == "the route" else ""
    site.router(f"{wrapped}router.get('/{{id:int}}', {route}'home.show')")
    if around == "the application":
        site.configure(middleware=["seeing"])
    async with visiting(site) as (_, client):
        answer = await client.get("/7")
        assert answer.text == "number 7"
        assert answer.headers.get("x-seen") == (None if around == "nothing" else "number 7")


@pytest.mark.parametrize("place", ["of the configuration", "of a route"])
async def test_a_middleware_that_returns_nothing_to_await_is_named_wherever_it_stands(
    site: Project, caplog: pytest.LogCaptureFixture, place: str
) -> None:
    counting = "def counting(ctx, call_next):\n    return len(ctx.path)\n"
    site.controller("async def index(self):\n    return 'x'", "router.get('/', 'home.index')")
    if place == "of a route":
        site.write({"app/router.py": f"{counting}\ndef routes(router):\n    router.get('/', counting, 'home.index')\n"})
    else:
        site.write({"app/middleware/counting.py": f"{counting}\ndef middleware(options, app):\n    return counting\n"})
        site.configure(middleware=["counting"])
    async with visiting(site) as (_, client):
        assert (await client.get("/")).status_code == 500
    assert "the middleware counting (" in caplog.text
    assert "returned 1, and it is not async" in caplog.text
