"""An exchange and an application for tests of what stands between them."""

from __future__ import annotations

import asyncio
import importlib
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from tamago.app.background import BackgroundTasks
from tamago.app.chain import compile_chain
from tamago.app.config.models import models
from tamago.app.context import Context
from tamago.app.cookie_keys import Keys
from tamago.app.dispatch import call_route, compile_dispatch
from tamago.app.events import Events
from tamago.app.host import Endpoint
from tamago.app.middleware_setup import FoundMiddleware, NamedMiddleware, compile_chains, set_up
from tamago.app.on_error import on_error
from tamago.app.request import RequestView
from tamago.app.response import ResponseView
from tamago.app.route_finding import find_route
from tamago.app.routing import Router, RouteTable
from tamago.core.config import Config

Field = tuple[bytes, bytes]


@dataclass
class FakeExchange:
    """Obeys the order of an answer: a start, pieces, an end. `hang_up` is the client leaving."""

    method: str = "GET"
    target: bytes = b"/"
    fields: list[Field] = field(default_factory=lambda: [(b"host", b"shop.example")])
    pieces: list[bytes] = field(default_factory=list)
    client: tuple[str, int] | None = ("203.0.113.9", 5555)
    scheme: str = "http"
    root_path: str = ""
    version: str = "1.1"
    gone: bool = False
    hung_up: bool = False
    body: object | None = None
    status: int = 0
    answer: list[Field] = field(default_factory=list)
    data: bytes = b""
    done: bool = False
    calls: list[str] = field(default_factory=list)
    late: int = 0  # writes after the end
    left: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        if self.pieces:
            self.body = self.pieces

    async def read(self) -> bytes:
        if self.gone:
            raise ConnectionResetError("the client left")
        return self.pieces.pop(0) if self.pieces else b""

    async def wait_for_input(self) -> None:
        self.calls.append("wait_for_input")
        await self.left.wait()

    def hang_up(self) -> None:
        self.gone = True
        self.left.set()

    def respond(self, status: int, fields: Iterable[Field], data: bytes) -> None:
        self.calls.append("respond")
        self._begin(status, fields)
        self.data, self.done = data, True

    def start(self, status: int, fields: Iterable[Field]) -> None:
        self.calls.append("start")
        self._begin(status, fields)

    def write(self, data: bytes, *, more: bool = False) -> None:
        assert self.status, "write before start"
        self.late += self.done
        assert not self.done, "write after the end"
        self.data += data
        self.done = not more

    async def drain(self) -> None:
        await asyncio.sleep(0)

    async def send_file(self, path: str) -> None:
        assert self.status, "a file before start"
        with open(path, "rb") as file:  # noqa: ASYNC230 - a test
            self.write(file.read())

    def _begin(self, status: int, fields: Iterable[Field]) -> None:
        assert not self.status, "started twice"
        self.status, self.answer = status, list(fields)

    def __getitem__(self, name: str) -> str | None:
        found = [value.decode("latin-1") for key, value in self.answer if key == name.encode()]
        assert len(found) < 2, f"{name} was sent {len(found)} times"
        return found[0] if found else None

    def all(self, name: str) -> list[str]:
        return [value.decode("latin-1") for key, value in self.answer if key == name.encode()]


CONFIG = {name: model() for name, model in models.items() if name not in {"logger", "httpclient", "dump", "threads"}}


class Helper:
    def __init__(self, ctx: Context) -> None:
        self.ctx = ctx


class FakeApplication:
    """Knows no plugin and no file; its routes are registered one by one. `config` and `parts` add to what all have."""

    def __init__(self, config: Mapping[str, Any] | None = None, *, keys: str = "demo-app_k", **parts: Any) -> None:
        self.config: Any = Config({**CONFIG, **(config or {}), **parts})
        self.logger: Any = logging.getLogger("tests.app")
        self.events = Events()
        self.background = BackgroundTasks(self.events, lambda: self.logger)
        self.keys = Keys(keys)
        self.request_class = RequestView
        self.response_class = ResponseView
        self.helper_class: Callable[[Context], Any] = Helper
        self.httpclient: Any = None
        self.services: Callable[[Context], Any] = lambda ctx: {"of": ctx}
        self.on_error: Callable[[Exception, Context], Awaitable[None] | None] = on_error
        self.router = Router()
        self.context: type[Context] = type("Context", (Context,), {"app": self})

    @cached_property
    def table(self) -> RouteTable:
        return self.router.compile(lambda route: compile_chain(route.middleware, route.handler, outer=100))

    def route(self, method: str, path: str, endpoint: Endpoint) -> None:
        self.router.register((method,), path, endpoint)

    def built_in(self, *names: str) -> list[NamedMiddleware]:
        """Return middlewares that every application has."""
        modules = {name: importlib.import_module(f"tamago.app.app.middleware.{name}") for name in names}
        return set_up(names, (), {name: FoundMiddleware(exported=found.middleware, source=name) for name, found in modules.items()}, self)

    async def answer(self, exchange: FakeExchange, middlewares: Sequence[NamedMiddleware] = ()) -> FakeExchange:
        """Have a request answered, and return its exchange."""
        await compile_dispatch(self.context, *compile_chains(middlewares, call_route))(exchange)
        return exchange


def request(method: str, target: str, content: bytes | None = None, /, **headers: str) -> FakeExchange:
    """Return the exchange of a request; `content_type` becomes `content-type`."""
    fields = [(name.replace("_", "-").encode(), value.encode("latin-1")) for name, value in {"host": "shop.example", **headers}.items()]
    if content is not None:
        fields.append((b"content-length", b"%d" % len(content)))
    return FakeExchange(method=method, target=target.encode(), fields=fields, pieces=[content] if content else [])


def context(exchange: FakeExchange | None = None, *, app: FakeApplication | None = None) -> Context:
    """Return a context for a request, by default a GET of /."""
    app = app or FakeApplication()
    exchange = exchange or request("GET", "/")
    return app.context(exchange, *find_route(app.table, exchange.method, exchange.target, exchange.fields))
