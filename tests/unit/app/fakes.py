"""An exchange and an application for tests of what stands between them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tamago.app.background import BackgroundTasks
from tamago.app.context import Context
from tamago.app.cookie_keys import Keys
from tamago.app.dispatch import call_route, compile_dispatch
from tamago.app.events import Events
from tamago.app.host import Endpoint
from tamago.app.middleware_setup import NamedMiddleware, compile_chains
from tamago.app.on_error import on_error
from tamago.app.request import RequestView
from tamago.app.response import ResponseView

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
    body: object | None = None
    status: int = 0
    answer: list[Field] = field(default_factory=list)
    data: bytes = b""
    done: bool = False
    calls: list[str] = field(default_factory=list)
    left: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        if self.pieces:
            self.body = self.pieces

    async def read(self) -> bytes:
        if self.gone:
            raise ConnectionResetError("the client left")
        return self.pieces.pop(0) if self.pieces else b""

    async def wait_for_input(self) -> None:
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


@dataclass(frozen=True)
class FakeRoute:
    endpoint: Endpoint
    timeout: float | None = None


@dataclass(frozen=True)
class Found:
    route: FakeRoute
    params: dict[str, Any]


async def nobody(ctx: Context) -> None:
    """Stands for a path without a route: leaves 404."""


class Helper:
    def __init__(self, ctx: Context) -> None:
        self.ctx = ctx


class FakeApplication:
    """Routes by whole paths; knows no plugin and no file."""

    def __init__(self, config: Mapping[str, Any] | None = None, *, keys: str = "demo-app_k") -> None:
        self.config: Mapping[str, Any] = config or {}
        self.logger: Any = logging.getLogger("tests.app")
        self.events = Events()
        self.background = BackgroundTasks(self.events, lambda: self.logger)
        self.keys = Keys(keys)
        self.request_class = RequestView
        self.response_class = ResponseView
        self.helper_class: Callable[[Context], Any] = Helper
        self.httpclient: Any = None
        self.on_error: Callable[[Exception, Context], Awaitable[None] | None] = on_error
        self.middleware_factories: Mapping[str, Any] = {}
        self.table: dict[tuple[str, bytes], FakeRoute] = {}
        self.context: type[Context] = type("Context", (Context,), {"app": self})

    @property
    def routes(self) -> Sequence[FakeRoute]:
        return list(self.table.values())

    def services(self, context: Context) -> Any:
        return {"of": context}

    def match(self, method: str, path: bytes) -> Found:
        return Found(self.table.get((method, path)) or FakeRoute(nobody), {})

    def route(self, method: str, path: str, endpoint: Endpoint, *, timeout: float | None = None) -> None:
        self.table[method, path.encode()] = FakeRoute(endpoint, timeout)

    async def answer(self, exchange: FakeExchange, middlewares: Sequence[NamedMiddleware] = ()) -> FakeExchange:
        """Have a request answered, and return its exchange."""
        await compile_dispatch(self.context, *compile_chains(middlewares, call_route))(exchange)
        return exchange


def request(method: str, target: str, body: bytes | None = None, **headers: str) -> FakeExchange:
    """Return the exchange of a request; `content_type` becomes `content-type`."""
    fields = [(name.replace("_", "-").encode(), value.encode("latin-1")) for name, value in {"host": "shop.example", **headers}.items()]
    if body is not None:
        fields.append((b"content-length", b"%d" % len(body)))
    return FakeExchange(method=method, target=target.encode(), fields=fields, pieces=[body] if body else [])


def context(target: str = "/", *, app: FakeApplication | None = None, exchange: FakeExchange | None = None, **headers: str) -> Context:
    """Return a context for a GET."""
    app = app or FakeApplication()
    return app.context(exchange or request("GET", target, **headers), FakeRoute(nobody), {})
