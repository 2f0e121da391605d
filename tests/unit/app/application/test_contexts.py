"""Contexts of a whole application: the current one, work in the background, events, the agent and messages (Egg 4.4, 4.10)."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import logging
import sys
import weakref
from typing import Any

import pytest
from tests.unit.app.application.project import Project, boot
from tests.web.edge import until

import tamago
from tamago.app import Context
from tamago.app.current import current_context
from tamago.app.errors import ExitError
from tamago.app.events import UnknownEventError
from tamago.core.lifecycle import CloseTimeoutError

pytestmark = pytest.mark.anyio


async def ask(app: Any, target: str = "/", **request: Any) -> Any:
    """Return the exchange of a request that nobody made, answered in a task of its own as a server would have it."""
    ctx = app.create_anonymous_context(url=target, **request)
    await asyncio.create_task(app.handle(ctx.exchange))
    return ctx.exchange


# ── the current context ──────────────────────────────────────────────────────────────────────────────────────────────


async def test_each_request_has_its_own_current_context_also_in_threads_and_tasks(site: Project) -> None:
    site.controller(
        """
        async def meet(self, id: int):
            app = self.app
            app.arrived.append(id)
            if len(app.arrived) == 5:
                app.all_here.set()
            await app.all_here.wait()
            in_task = await asyncio.create_task(self.seen())
            in_thread = await asyncio.to_thread(lambda: app.current_context.params["id"])
            return [app.current_context is self.ctx, in_task, in_thread]

        async def seen(self):
            return self.app.current_context.params["id"]

        def sync(self, id: int):
            return [self.app.current_context is self.ctx, self.app.current_context.params["id"]]
        """,
        "router.get('/meet/{id:int}', 'home.meet')\nrouter.get('/sync/{id:int}', 'home.sync')",
    )
    async with site.running() as app:
        app.arrived, app.all_here = [], asyncio.Event()
        answers = await asyncio.gather(*(ask(app, f"/meet/{number}") for number in range(5)))
        assert [exchange.answer.data for exchange in answers] == [b"[true,%d,%d]" % (number, number) for number in range(5)]
        answers = await asyncio.gather(*(ask(app, f"/sync/{number}") for number in range(5)))
        assert [exchange.answer.data for exchange in answers] == [b"[true,%d]" % number for number in range(5)]
        assert app.current_context is None


async def test_an_anonymous_scope_has_a_current_context_with_services(site: Project) -> None:
    site.write({"app/service/user.py": "from tamago.app import Service\nclass UserService(Service): ...\n"})
    async with site.running() as app:
        async with app.anonymous_scope(url="/some?a=1", headers={"x-who": "me"}) as ctx:
            assert app.current_context is ctx
            assert current_context() is app.current_context
            assert (ctx.path, ctx.query, ctx.get("X-Who"), ctx.ip) == ("/some", {"a": "1"}, "me", "127.0.0.1")
            assert ctx.service.user.ctx is ctx
        assert app.current_context is None


# ── services when the request is over ────────────────────────────────────────────────────────────────────────────────

_USER = {"app/service/user.py": "from tamago.app import Service\nclass UserService(Service): ...\n"}


async def test_a_service_is_gone_with_its_request_and_needs_no_garbage_collector(site: Project) -> None:
    site.write(_USER)
    site.controller("async def show(self):\n    return self.service.user is self.ctx.service.user", "router.get('/', 'home.show')")
    async with site.running() as app:
        services: list[weakref.ref[Any]] = []
        app.on("response", lambda ctx: services.append(weakref.ref(ctx.service.user)))
        gc.disable()
        try:
            assert (await ask(app)).answer.data == b"true"
            assert services[0]() is None
        finally:
            gc.enable()


async def test_work_in_the_background_has_the_services_of_its_request(site: Project) -> None:
    site.write(_USER)
    site.controller(
        """
        async def show(self):
            self.ctx.run_in_background(self.later)
            self.app.seen = [self.service.user]

        async def later(self, ctx):
            await self.app.gate.wait()
            self.app.seen.append(ctx.service.user)
        """,
        "router.get('/', 'home.show')",
    )
    async with site.running() as app:
        app.gate = asyncio.Event()
        await ask(app)
        app.gate.set()
        await app.background_tasks_finished()
        first, second = app.seen
        assert first is second


async def test_a_task_that_outlives_its_request_keeps_what_it_holds_and_is_given_new_services(site: Project) -> None:
    site.write(_USER)
    site.controller(
        """
        async def show(self):
            self.app.task = asyncio.create_task(self.later(self.service.user))

        async def later(self, held):
            await self.app.gate.wait()
            self.app.seen = [held.ctx is self.ctx, self.service.user is held, self.service.user is self.ctx.service.user]
        """,
        "router.get('/', 'home.show')",
    )
    async with site.running() as app:
        app.gate = asyncio.Event()
        await ask(app)
        app.gate.set()
        await app.task
        assert app.seen == [True, False, True]


async def test_a_service_that_two_threads_noted_at_once_is_let_go(site: Project) -> None:
    site.write(_USER)
    async with site.running() as app:
        ctx = app.create_anonymous_context()
        first = ctx.service.user
        ctx.made_services = (ctx.made_services[0], ctx.made_services)
        ctx.forget_services()
        assert ctx.service.user is not first


# ── in the background ────────────────────────────────────────────────────────────────────────────────────────────────


async def test_background_work_has_a_context_and_is_logged_by_its_name(site: Project, caplog: pytest.LogCaptureFixture) -> None:
    async def sweep(ctx: Context) -> None:
        await asyncio.sleep(0)
        seen.append((ctx is current_context(), ctx.app is app))

    seen: list[Any] = []
    async with site.running() as app:
        with caplog.at_level(logging.INFO, "tamago"):
            app.run_in_background(sweep, name="sweep the yard")
            await app.background_tasks_finished()
        assert seen == [(True, True)]
        assert "[background] task sweep the yard success" in caplog.text


async def test_background_work_of_a_handler_in_a_thread_is_waited_for_as_any_other(site: Project) -> None:
    site.write(_USER)
    site.controller(
        """
        def show(self):
            self.app.seen = [self.service.user]
            self.ctx.run_in_background(self.later)
            self.app.run_in_background(self.later)
            return "begun"

        async def later(self, ctx):
            self.app.seen.append(ctx.app.current_context is ctx and ctx.service.user)
        """,
        "router.get('/', 'home.show')",
    )
    async with site.running() as app:
        assert (await ask(app)).answer.data == b"begun"
        assert len(app.background) or len(app.seen) == 3
        await app.background_tasks_finished()
        asked, first, second = app.seen
        assert (first is asked, second is asked) == (True, False)


async def test_background_work_that_fails_is_logged_and_an_error_event(site: Project, caplog: pytest.LogCaptureFixture) -> None:
    async def sweep(ctx: Context) -> None:
        raise LookupError("no broom")

    errors: list[Any] = []
    async with site.running() as app:
        app.on("error", lambda error, ctx: errors.append((str(error), isinstance(ctx, Context))))
        app.run_in_background(sweep)
        await app.background_tasks_finished()
    assert errors == [("no broom", True)]
    assert "sweep fail" in caplog.text


async def test_background_work_that_exits_fails_and_ends_no_process(site: Project, caplog: pytest.LogCaptureFixture) -> None:
    async def sweep(ctx: Context) -> None:
        sys.exit(3)

    errors: list[Any] = []
    async with site.running() as app:
        app.on("error", lambda error, ctx: errors.append(type(error)))
        app.run_in_background(sweep)
        await app.background_tasks_finished()
    assert errors == [ExitError]
    assert "sys.exit(3) was called" in caplog.text


async def test_background_work_is_finished_before_anything_is_closed(site: Project) -> None:
    order: list[str] = []
    gate = asyncio.Event()

    async def sweep(ctx: Context) -> None:
        ctx.run_in_background(mop)
        await gate.wait()
        order.append("sweep")

    async def mop(ctx: Context) -> None:
        await gate.wait()
        order.append("mop")

    async with site.running() as app:
        app.before_close(lambda: order.append("closed"))
        app.run_in_background(sweep)
        closing = asyncio.create_task(app.close())
        await until(lambda: len(app.background) == 2)
        gate.set()
        await closing
    assert sorted(order[:2]) == ["mop", "sweep"]
    assert order[2:] == ["closed"]


async def test_background_work_begun_while_closing_is_finished_as_well(site: Project) -> None:
    done: list[str] = []

    async def goodbye(ctx: Context) -> None:
        await asyncio.sleep(0)
        ctx.logger.info("goodbye")  # the loggers are still there
        done.append("goodbye")

    async with site.running() as app:
        app.before_close(lambda: app.run_in_background(goodbye))
    assert done == ["goodbye"]


@pytest.mark.parametrize("begun", ["before", "while closing"])
async def test_background_work_that_never_ends_is_cancelled_and_named(site: Project, caplog: pytest.LogCaptureFixture, begun: str) -> None:
    cancelled: list[str] = []

    async def forever(ctx: Context) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.append("forever")

    site.configure(close_timeout=0.02)
    app = site.load()
    await app.start()
    if begun == "before":
        app.run_in_background(forever, name="forever")
    else:
        app.before_close(lambda: app.run_in_background(forever, name="forever"))
    with contextlib.suppress(CloseTimeoutError):  # on a busy machine the wait for it may be over time as well
        await app.close()
    await until(lambda: cancelled)
    assert "background forever is not done after 0.0" in caplog.text


async def test_background_work_that_cannot_be_awaited_is_told(site: Project, caplog: pytest.LogCaptureFixture) -> None:
    async with site.running() as app:
        app.run_in_background(lambda ctx: None, name="sweep")
        await app.background_tasks_finished()
    assert "[background] task sweep fail" in caplog.text
    assert "TypeError: sweep is a plain function: write async def" in caplog.text


async def test_what_a_function_returned_is_no_background_work(site: Project) -> None:
    async def sweep(ctx: Context) -> None: ...

    async with site.running() as app:
        ctx = app.create_anonymous_context()
        with pytest.raises(TypeError, match="give the function itself, not what it returned"):
            ctx.run_in_background(sweep(ctx))
        assert len(app.background) == 0


# ── events ───────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_events_of_a_life_with_requests_come_in_order(site: Project) -> None:
    site.controller(
        """
        async def index(self):
            self.app.told.append("handler")
            return "home"

        async def fails(self):
            raise LookupError("broken")

        async def refuses(self):
            self.ctx.throw(403)
        """,
        "for name in ('index', 'fails', 'refuses'):\n    router.get(f'/{name}', f'home.{name}')",
    )
    body = """
    def __init__(self, app):
        super().__init__(app)
        app.told = []
        app.on("server", lambda app: app.told.append("server"))
        app.on("request", lambda ctx: app.told.append(f"request {ctx.path}"))
        app.on("response", lambda ctx: app.told.append(f"response {ctx.status}"))
        app.on("error", lambda error, ctx: app.told.append(f"error {error} {ctx.path}"))
        app.on("close", lambda: app.told.append("close"))
    """
    site.write({"app/boot.py": boot(body)})
    async with site.running(env="prod") as app:
        for name in ("index", "fails", "refuses", "nothing"):
            await ask(app, f"/{name}")
    assert app.told == [
        "server",
        "request /index",
        "handler",
        "response 200",
        "request /fails",
        "error broken /fails",
        "response 500",
        "request /refuses",
        "response 403",
        "request /nothing",
        "response 404",
        "close",
    ]


async def test_an_event_nobody_tells_of_and_a_listener_nobody_awaits_are_refused(site: Project) -> None:
    async def listener(ctx: Context) -> None: ...

    async with site.running() as app:
        with pytest.raises(UnknownEventError, match="there is no event 'requst'"):
            app.on("requst", print)
        with pytest.raises(TypeError, match="is a coroutine function"):
            app.on("request", listener)


# ── errors ───────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_without_onerror_the_framework_answers_errors_itself(site: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAMAGO_PLUGINS", '{"onerror": false}')
    site.controller("async def index(self):\n    raise LookupError('secret')", "router.get('/', 'home.index')")
    async with site.running(env="prod") as app:
        answer = (await ask(app)).answer
        assert (answer.status, answer.data) == (500, b"Internal Server Error")


async def test_without_onerror_a_client_that_takes_json_gets_what_it_may_know_as_json(
    site: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TAMAGO_PLUGINS", '{"onerror": false}')
    site.controller(
        "async def index(self, page: int):\n    raise LookupError('secret')\nasync def closed(self):\n    self.ctx.throw(403)",
        "router.get('/', 'home.index')\nrouter.get('/closed', 'home.closed')",
    )
    async with site.running(env="prod") as app:
        told = {}
        for path in ("/?page=x", "/?page=1", "/closed"):
            told[path] = json.loads((await ask(app, path, headers={"accept": "application/json"})).answer.data)
    assert told == {
        "/?page=x": {
            "message": "query page: expected int, got 'x'",
            "code": "bad_value",
            "errors": [{"source": "query", "field": "page", "value": "x", "expected": "int"}],
        },
        "/?page=1": {"message": "Internal Server Error"},
        "/closed": {"message": "Forbidden"},
    }


async def test_an_own_on_error_answers_every_error_and_may_fail_itself(site: Project) -> None:
    site.controller("async def index(self):\n    raise LookupError('inside')", "router.get('/', 'home.index')")
    async with site.running() as app:
        app.on_error = lambda error, ctx: setattr(ctx, "body", f"sorry: {error}")
        assert (await ask(app)).answer.data == b"sorry: inside"
        app.on_error = lambda error, ctx: ctx.throw(500)
        with pytest.raises(LookupError):
            await ask(app)


# ── loggers ──────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_lines_go_to_their_files_with_the_request_they_belong_to(site: Project) -> None:
    site.configure(custom_logger={"audit": {"file": "audit.log"}})
    site.controller(
        """
        async def index(self):
            self.logger.warning("in the request")
            self.app.get_logger("audit").info("who did it")
            self.logger.error("went wrong")
            return "home"
        """,
        "router.get('/home', 'home.index')",
    )
    async with site.running(env="unittest") as app:
        await ask(app, "/home?a=1")
        app.core_logger.warning("of the framework")
        with pytest.raises(LookupError, match="there is no logger 'audt'"):
            app.get_logger("audt")
    logs = site.directory / "logs/small"
    web = (logs / "small-web.log").read_text()
    assert "in the request" in web
    assert "GET /home?a=1]" in web
    assert "who did it" in (logs / "audit.log").read_text()
    assert "went wrong" in (logs / "common-error.log").read_text()
    assert "of the framework" in (logs / "tamago-web.log").read_text()


async def test_loggers_are_asked_for_too_early_with_a_word_about_when(site: Project) -> None:
    app = site.load()
    app.logger.info("always there")
    with pytest.raises(RuntimeError, match="no loggers before the configuration is loaded"):
        app.loggers  # noqa: B018


# ── the agent ────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_the_agent_serves_no_requests_and_needs_nothing_of_them(site: Project) -> None:
    site.controller("async def index(self):\n    return 'home'", "router.get('/', 'home.index')")
    site.write({"app/service/user.py": "from tamago.app import Service\nclass UserService(Service): ...\n"})
    async with site.agent() as agent:
        assert agent.kind == "agent"
        assert agent.config.logger.level.name == "INFO"
        assert not hasattr(agent, "handle")
        assert not hasattr(agent, "router")
        assert agent.plugins.keys() == {"onerror", "static"}
        agent.logger.info("on my own")
    assert "on my own" in (site.directory / "logs/small/tamago-agent.log").read_text()


async def test_agent_and_application_talk_and_share_one_directory(site: Project) -> None:
    site.write(
        {
            "app/boot.py": (
                "from tamago.app import Boot\n\n"
                "class AgentBoot(Boot):\n"
                "    async def did_load(self):\n        self.off = self.app.messenger.on('ask', self.answer)\n"
                "    def answer(self, data):\n        self.app.messenger.send_to_app('told', {'asked': data})\n"
                "    def before_close(self):\n        self.off()\n\n"
                "class AppBoot(Boot):\n"
                "    async def did_load(self):\n        self.off = self.app.messenger.on('told', self.told.append)\n"
                "    told = []\n"
                "    async def server_did_ready(self):\n        self.app.messenger.send_to_agent('ask', 1)\n"
                "    def before_close(self):\n        self.off()\n"
            )
        }
    )
    async with site.agent() as agent, site.running() as app:
        assert agent.messenger is app.messenger is tamago.messenger
        told: list[Any] = sys.modules["app.boot"].AppBoot.told
        await until(lambda: told)
        assert told == [{"asked": 1}]


# ── an HTTP client ───────────────────────────────────────────────────────────────────────────────────────────────────


async def test_an_http_client_is_made_when_asked_for_and_closed_at_the_end(site: Project) -> None:
    async with site.running() as app:
        client = app.httpclient
        assert app.httpclient is client
        assert app.create_anonymous_context().httpclient is client
    with pytest.raises(RuntimeError, match="closed"):
        await client.get("http://127.0.0.1/")
