"""An application as a worker has it: contexts, services, controllers, middleware and routes. Egg's `Application`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import asdict
from functools import partial
from typing import Any, ClassVar

from tamago.app import anonymous
from tamago.app.asgi_exchange import AsgiExchange, Receive, Scope, Send
from tamago.app.background import BackgroundTasks
from tamago.app.base_application import BaseApplication
from tamago.app.binding import ServiceIndex, compile_handlers, inject
from tamago.app.chain import compile_chain
from tamago.app.context import Context
from tamago.app.cookie_keys import Keys
from tamago.app.current import current
from tamago.app.dispatch import call_route, compile_dispatch
from tamago.app.lifespan import serve_lifespan
from tamago.app.load_warnings import warn_of_unread
from tamago.app.loaded import Loaded
from tamago.app.middleware_result import checked
from tamago.app.middleware_setup import FoundMiddleware, NamedMiddleware, check_middleware, compile_chains, set_up
from tamago.app.mounts import Mounts
from tamago.app.on_error import on_error
from tamago.app.request import RequestView
from tamago.app.response import ResponseView
from tamago.app.router_file import check_foreign_routes, import_router, router_files
from tamago.app.routing import Route, Router, RouteTable, describe
from tamago.app.websocket_dispatch import serve_websocket
from tamago.core.context_class import Controller, Helper, Service
from tamago.core.custom_loader import CustomTree, install, load_custom, read_custom_loaders
from tamago.core.dumps import dump_routes
from tamago.core.extending import check_extend_files, compose, find_extends
from tamago.core.finding import find_modules
from tamago.core.importing import import_found
from tamago.core.namespace import provide
from tamago.core.steps import Step
from tamago.core.tree import collect
from tamago.errors import TamagoError
from tamago.thread_pool import ThreadPool
from tamago.types import Exchange, Role, ServerOptions


class NotStartedError(TamagoError):
    """A request comes to an application whose configuration is not even loaded."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"the application {name!r} has not started",
            hint="have the server speak ASGI's lifespan protocol (`--lifespan on`), or `await app.start()` before the first request",
        )


class Application(BaseApplication):
    """An application, loaded: an ASGI application, and what tamago's own server calls without ASGI in between (`handle`)."""

    kind: ClassVar[str] = "application"
    boot_class: ClassVar[str] = "AppBoot"
    role: ClassVar[Role] = Role.WORKER

    threads_all_busy: Callable[[bool], None] = staticmethod(lambda _: None)
    """Told when the last free thread is taken, and when one is free again; whoever runs the process sets it."""

    worker_threads: int = ServerOptions().threads
    """How many threads a worker has, by `--threads`; whoever runs the process sets it."""

    # There once the application has started:
    handle: Callable[[Exchange], Awaitable[None]]
    """Answers a request."""
    table: RouteTable
    middlewares: Sequence[NamedMiddleware]
    threads: ThreadPool

    def __init__(self, loaded: Loaded) -> None:
        self.keys = Keys("")
        self.on_error: Callable[[Exception, Context], Awaitable[None] | None] = on_error
        self.middleware_factories: dict[str, FoundMiddleware] = {}
        self._mounts = Mounts()
        super().__init__(loaded)

    # ── before the fork: everything is imported ──────────────────────────────────────────────────────────────────────

    def _import(self) -> None:
        self.background = BackgroundTasks(self.events, lambda: self.core_logger)
        for close in (self._close_threads, self._mounts.stop, self._drain_rest):
            self.before_close(close)
        units, env, timing = self.loaded.units, self.info.env, self.timing
        warn_of_unread(self.loaded)  # not in the agent as well: both are loaded in one process
        check_extend_files(units)
        check_foreign_routes(units[:-1])

        def extended(name: str, base: type) -> Any:
            return compose(base.__name__.removesuffix("View"), base, find_extends(units, name, env, timing=timing))

        self.request_class: type[RequestView] = extended("request", RequestView)
        self.response_class: type[ResponseView] = extended("response", ResponseView)
        self.helper_class: type[Helper] = extended("helper", Helper)
        contexts = find_extends(units, "context", env, timing=timing)
        self.context_class: type[Context] = compose("Context", Context, contexts, {"app": self})
        with timing.measure("Load Service"):
            services = collect(units, "service", Service, "Service", timing=timing)
        self.services = provide(self.context_class, services, "service")
        self.service_index = ServiceIndex(services.flat())
        with timing.measure("Load Middleware"):
            for found in find_modules(units, "app/middleware", override=True):
                module = import_found(found, timing)
                name = "_".join(found.name)
                self.middleware_factories[name] = FoundMiddleware(exported=getattr(module, "middleware", None), source=str(found.path))
        with timing.measure("Load Controller"):
            self.controllers = collect(self.loaded.own, "controller", Controller, "Controller", timing=timing)
        inject(self.controllers.flat().values(), self.service_index)
        self.router = Router(self.controllers)
        self._routes = [import_router(found, timing) for found in router_files(self.loaded.own)]

    # ── in each process: what depends on configuration ───────────────────────────────────────────────────────────────

    def _build(self) -> None:
        super()._build()
        config = self.config
        self.keys = Keys(config["keys"])
        self.background.loop = loop = asyncio.get_running_loop()
        self.threads = ThreadPool(size=self.thread_count, all_busy=self.threads_all_busy, loop=loop)
        with self.timing.measure("Load Custom"):
            install(self.load_custom(), self, self.context_class)
        with self.timing.measure("Load Router"):
            self._compile()

    def load_custom(self) -> list[CustomTree]:
        """Import what `config.custom_loader` names. Needs configuration."""
        loaders = read_custom_loaders(self.config["custom_loader"], self, self.context_class)
        return load_custom(loaders, self.loaded.units, timing=self.timing)

    @property
    def thread_count(self) -> int:
        """How many threads the handlers that are plain functions have, and each mounted WSGI application has as many."""
        size: int | None = self.config["threads"].size
        return self.worker_threads if size is None else size

    def _compile(self) -> None:
        self.register_routes()  # before the middlewares are made: `request_timeout` asks whether any route has a timeout of its own
        self.middlewares = middlewares = set_up(self.config["core_middleware"], self.config["middleware"], self.middleware_factories, self)
        self._compile_routes(outer=len(middlewares))
        chains, chain_of_others = compile_chains(middlewares, call_route)
        self.handle = compile_dispatch(self.context_class, chains, chain_of_others)

    def _compile_routes(self, *, outer: int) -> None:
        """Make the table of the registered routes; `outer` is how many middlewares stand around all of them."""
        bound = compile_handlers(self.router.routes, app=self)

        def endpoint_of(route: Route) -> Any:
            return compile_chain([checked(middleware) for middleware in route.middleware], bound[route].endpoint, outer=outer)

        def direct_of(route: Route) -> Any:
            return None if route.middleware else bound[route].direct

        self.table = self.router.compile(endpoint_of, direct_of)

    async def check(self) -> None:
        """Import custom directories, check the middlewares and compile the routes as well.

        Nothing is made of the classes found, and factories of middleware are not called: they may open things.
        """
        await super().check()
        self.load_custom()
        check_middleware(self.config["core_middleware"], self.config["middleware"], self.middleware_factories, self.config)
        self.register_routes()
        self._compile_routes(outer=0)

    def register_routes(self) -> Router:
        """Register every route of `app/router.py` and of the controllers' decorators, once. Needs no configuration."""
        for routes in self._routes:
            routes(self.router)
        self.router.add_controllers()
        return self.router

    def _last_step(self) -> Step | None:
        return Step(title="Start", where="mounted applications", call=partial(self._mounts.start, self.thread_count))

    async def start(self) -> None:
        """Load the configuration, run the hooks, start what is mounted, and be ready."""
        await super().start()
        self.events.emit("server", self)

    def _dump(self) -> None:
        super()._dump()
        if self.config["dump"].enable:
            dump_routes(self.rundir, [asdict(row) for row in describe(self.table, self.directory)], log=self.core_logger)

    async def close(self) -> None:
        """Wait for what runs in the background, then run every `before_close`, in reverse."""
        await self.background.drain(self.close_timeout)
        await super().close()

    async def _drain_rest(self) -> None:
        # What `before_close` began. Half of the time that this has itself, so that late tasks are cancelled before it is.
        await self.background.drain(self.close_timeout / 2)

    def _close_threads(self) -> None:
        if "threads" in vars(self):
            self.threads.close()

    # ── requests ─────────────────────────────────────────────────────────────────────────────────────────────────────

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Be an ASGI application, for any ASGI server and for tests: HTTP, websockets and lifespan (ASGI 3.0)."""
        if scope["type"] == "lifespan":
            await serve_lifespan(receive, send, self._start_alone, self.close)
            return
        if "handle" not in vars(self):
            raise NotStartedError(self.name)
        mount = self._mounts.of(scope)
        if mount is not None:
            await self._mounts(mount, scope, receive, send)
        elif scope["type"] == "websocket":
            await serve_websocket(self.context_class, scope, receive, send)
        else:
            exchange = AsgiExchange(scope, receive, send)
            token = current.set(None)  # `handle` leaves it set, in a task that need not be the request's own
            try:
                await self.handle(exchange)
                await exchange.finish()
            finally:
                current.reset(token)

    async def _start_alone(self) -> None:
        # The messenger of a process alone belongs to the loop that used it last; handlers in threads send from the first request on.
        await self.messenger.drain()
        await self.start()
        await self.server_ready()

    @property
    def mounts(self) -> tuple[bytes, ...]:
        """Beginnings of request targets that belong to mounted applications."""
        return self._mounts.prefixes

    def mount(self, prefix: str, app: Any) -> None:
        """Have an ASGI or WSGI application (the latter needs `tamago[wsgi]`) answer everything below a path. Raises MountError."""
        self._mounts.add(prefix, app)

    @property
    def routes(self) -> tuple[Route, ...]:
        """All routes, in the order of their registration."""
        return self.router.routes

    def url_for(self, name: str, /, **params: Any) -> str:
        """Return the path of a named route; see `Router.url_for`."""
        return self.router.url_for(name, **params)

    # ── contexts ─────────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def current_context(self) -> Context | None:
        """The context of the request that this code works for, None outside of one. Egg's `app.currentContext`."""
        return current.get()

    def create_anonymous_context(self, **request: Any) -> Context:
        """Return a context for work that no request asked for. Egg's `createAnonymousContext`; for `request` see `anonymous_context`."""
        return anonymous.anonymous_context(self.context_class, **request)

    def anonymous_scope(self, **request: Any) -> AbstractAsyncContextManager[Context]:
        """Have an anonymous context be the current one within an `async with`. Egg's `runInAnonymousContextScope`."""
        return anonymous.anonymous_scope(self.context_class, **request)

    def run_in_background(self, work: Callable[[Context], Awaitable[object]], *, name: str = "") -> None:
        """Run `await work(ctx)` with an anonymous context beside everything else. It is waited for before the process ends."""
        self.background.run(work, self.create_anonymous_context(), name=name)

    async def background_tasks_finished(self) -> None:
        """Wait for what runs in the background, for tests."""
        await self.background.finished()
