"""A context, a route and an application with just what binding asks of them."""

from __future__ import annotations

import asyncio
import contextvars
import sys
import threading
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any
from urllib.parse import parse_qs

from tamago.app.binding import ServiceIndex
from tamago.core.context_class import Service


class FakeNamespace:
    """`ctx.service`: makes each service once."""

    def __init__(self, ctx: Any, tree: Mapping[str, type[Service]], path: str = "") -> None:
        self._ctx, self._tree, self._path = ctx, tree, path

    def __getattr__(self, name: str) -> Any:
        path = f"{self._path}{name}"
        made = self._tree[path](self._ctx) if path in self._tree else FakeNamespace(self._ctx, self._tree, f"{path}.")
        setattr(self, name, made)
        return made


class FakeCookies:
    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = values
        self.asked: list[tuple[str, bool, bool]] = []

    def get(self, name: str, *, signed: bool, encrypt: bool) -> str | None:
        self.asked.append((name, signed, encrypt))
        return self._values.get(name)


class FakeContext:
    def __init__(
        self,
        *,
        params: Mapping[str, Any] | None = None,
        query: str = "",
        headers: Mapping[str, str] | None = None,
        cookies: Mapping[str, str] | None = None,
        body: bytes = b"",
        content_type: str = "",
        app: FakeApp | None = None,
    ) -> None:
        self.params = dict(params or {})
        self.queries = parse_qs(query, keep_blank_values=True)
        self.query = {key: values[0] for key, values in self.queries.items()}
        self.headers = {**(headers or {}), **({"content-type": content_type} if content_type else {})}
        self.cookies = FakeCookies(cookies or {})
        self.content_type = content_type.partition(";")[0].strip().lower()
        self.app = app
        self.body: Any = None
        self.status = 404
        self._raw = body
        if app is not None:
            self.service = FakeNamespace(self, app.tree)

    def __getattr__(self, name: str) -> Any:
        """Find an instance by its key, `service:admin:user`; it is the one the namespaces have."""
        if not name.startswith("service:"):
            raise AttributeError(name)
        return attrgetter(name.replace(":", "."))(self)

    def set(self, name: str, value: str) -> None:
        self.headers[name] = value

    async def raw_body(self) -> bytes:
        return self._raw


class ExtendedContext(FakeContext):
    """What an application's own extension of the context makes of it."""


@dataclass(kw_only=True, eq=False)
class FakeRoute:
    """A route; who is its controller, a router would have found out."""

    handler: Callable[..., Any]
    path: str = "/"
    methods: tuple[str, ...] = ("POST",)
    websocket: bool = False
    controller: type | None = None
    endpoint: Callable[..., Awaitable[object]] | None = None

    def __post_init__(self) -> None:
        name, _, method = getattr(self.handler, "__qualname__", "").rpartition(".")
        owner = getattr(sys.modules[self.handler.__module__], name, None) if method else None
        self.controller = self.controller or (owner if isinstance(owner, type) else None)


class OneThreadEach:
    """Obeys as the pool does: runs the call in a thread, then tells the loop."""

    def __init__(self) -> None:
        self.held: list[Callable[[], None]] = []
        self.hold = False
        self._threads: list[threading.Thread] = []

    def join(self) -> None:
        for thread in self._threads:
            thread.join()

    def submit(self, call: Callable[[], object], context: contextvars.Context, done: Callable[[BaseException | None], object]) -> None:
        loop = asyncio.get_running_loop()

        def work() -> None:
            error: BaseException | None = None
            try:
                context.run(call)
            except BaseException as raised:  # noqa: BLE001 - it is the caller's
                error = raised
            loop.call_soon_threadsafe(done, error)

        thread = threading.Thread(target=work)
        self._threads.append(thread)
        if self.hold:
            self.held.append(thread.start)
        else:
            thread.start()


@dataclass
class FakeApp:
    tree: Mapping[str, type[Service]] = field(default_factory=dict)
    context_class: type = ExtendedContext
    threads: OneThreadEach = field(default_factory=OneThreadEach)

    def __post_init__(self) -> None:
        self.service_index = ServiceIndex(self.tree)
