"""An application as a worker has it: contexts, services, controllers, middleware and routes. Egg's `Application`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, ClassVar

import msgspec

from tamago.app import anonymous
from tamago.app.asgi_exchange import AsgiExchange, Message, Receive, Scope, Send
from tamago.app.background import BackgroundTasks
from tamago.app.base_application import BaseApplication
from tamago.app.binding import ServiceIndex, compile_handler, inject
from tamago.app.chain import compile_chain
from tamago.app.context import Context
from tamago.app.cookie_keys import Keys
from tamago.app.current import current
from tamago.app.dispatch import call_route, compile_dispatch
from tamago.app.lifespan import serve_lifespan
from tamago.app.loaded import Loaded
from tamago.app.middleware_setup import FoundMiddleware, compile_chains, set_up
from tamago.app.mounts import Mounts
from tamago.app.on_error import on_error
from tamago.app.request import RequestView
from tamago.app.response import ResponseView
from tamago.app.routing import Route, Router, RouteTable
from tamago.app.websocket_dispatch import serve_websocket
from tamago.core.context_class import Controller, Helper, Service
from tamago.core.custom_loader import install, load_custom, read_custom_loaders
from tamago.core.dumps import dump_routes
from tamago.core.extending import check_extend_files, compose, find_extends
from tamago.core.finding import find_modules
from tamago.core.importing import import_found
from tamago.core.namespace import namespace
from tamago.core.tree import collect
from tamago.thread_pool import ThreadPool
from tamago.types import Exchange, Role


class Application(BaseApplication):
    """An application, loaded: an ASGI application, and what tamago's own server calls without ASGI in between (`handle`)."""

    kind: ClassVar[str] = "application"
    boot_class: ClassVar[str] = "AppBoot"
    role: ClassVar[Role] = Role.WORKER

    handle: Callable[[Exchange], Awaitable[None]]
    """Answers a request. There once the application has started."""

    def __init__(self, loaded: Loaded) -> None:
        super().__init__(loaded)
        self.background = BackgroundTasks(self.events, lambda: self.core_logger)
        self.keys = Keys("")
        self.on_error: Callable[[Exception, Context], Awaitable[None] | None] = on_error
        self.middleware_factories: dict[str, FoundMiddleware] = {}
        self.router = Router()
        self._mounts = Mounts()
        self._import()

    # ── before the fork: everything is imported ──────────────────────────────────────────────────────────────────────

    def _import(self) -> None:
        units, env, timing = self.loaded.units, self.info.env, self.timing
        check_extend_files(units)

        def extended(name: str, base: type) -> Any:
            return compose(base.__name__.removesuffix("View"), base, find_extends(units, name, env, timing=timing))

        self.request_class: type[RequestView] = extended("request", RequestView)
        self.response_class: type[ResponseView] = extended("response", ResponseView)
        self.helper_class: type[Helper] = extended("helper", Helper)
        contexts = find_extends(units, "context", env, timing=timing)
        self.context_class: type[Context] = compose("Context", Context, contexts, {"app": self})
        with timing.measure("Load Service"):
            services = collect(units, "service", Service, "Service", timing=timing)
        self.services = namespace(services, "service")
        self.service_index = ServiceIndex(services.flat())
        with timing.measure("Load Middleware"):
            for found in find_modules(units, "app/middleware", override=True):
                module = import_found(found, timing)
                name = "_".join(found.name)
                self.middleware_factories[name] = FoundMiddleware(exported=getattr(module, "middleware", None), source=str(found.path))
        with timing.measure("Load Controller"):
            self.controllers = collect(self.loaded.own, "controller", Controller, "Controller", timing=timing)
        inject(self.controllers.flat().values(), self.service_index)
        self._routes = [import_found(found, timing) for found in router_files(self.loaded.own)]

    # ── in each process: what depends on configuration ───────────────────────────────────────────────────────────────

    def _configured(self) -> None:
        config = self.config
        self.keys = Keys(config["keys"])
        self.threads = ThreadPool(config["threads"].size)
        with self.timing.measure("Load Custom"):
            loaders = read_custom_loaders(config["custom_loader"], self, self.context_class)
            install(load_custom(loaders, self.loaded.units, timing=self.timing), self, self.context_class)
        with self.timing.measure("Load Router"):
            self._compile()

    def _compile(self) -> None:
        self.router = Router(self.controllers)
        for module in self._routes:
            module.routes(self.router)
        self.router.add_controllers()
        middlewares = set_up(self.config["core_middleware"], self.config["middleware"], self.middleware_factories, self)

        def endpoint_of(route: Route) -> Any:
            return compile_chain(route.middleware, compile_handler(route, app=self), outer=len(middlewares))

        self.table: RouteTable = self.router.compile(endpoint_of)
        self.match = self.table.match
        chains, chain_of_others = compile_chains(middlewares, call_route)
        self.handle = compile_dispatch(self.context_class, chains, chain_of_others)
