"""What binding needs of a route, an application and a context; each is made elsewhere."""

from __future__ import annotations

import contextvars
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from tamago.app.binding.service_index import ServiceIndex

Endpoint = Callable[[Any], Awaitable[object]]
"""Answers the request of a context."""


class Route(Protocol):
    """A registered route, hashable.

    `handler` is a function; if it is a method, `controller` is the class in whose name it is called. A route that needs no binding has its
    `endpoint` already: a redirect, for one.
    """

    @property
    def handler(self) -> Callable[..., Any]: ...
    @property
    def controller(self) -> type | None: ...
    @property
    def path(self) -> str: ...
    @property
    def methods(self) -> Collection[str]: ...
    @property
    def websocket(self) -> bool: ...
    @property
    def endpoint(self) -> Endpoint | None: ...


class Threads(Protocol):
    """A bounded pool of threads, as `tamago.thread_pool.ThreadPool`."""

    def submit(self, call: Callable[[], object], context: contextvars.Context, done: Callable[[BaseException | None], object]) -> None:
        """Run `call` in a thread and in `context`; then `done` in the loop, with what was raised. Called in the loop."""


class App(Protocol):
    """What is asked of the application: `threads` when a sync handler runs first, the others when handlers are compiled."""

    @property
    def context_class(self) -> type: ...
    @property
    def service_index(self) -> ServiceIndex: ...
    @property
    def threads(self) -> Threads: ...


class Cookies(Protocol):
    """The cookies of a request."""

    def get(self, name: str, *, signed: bool, encrypt: bool) -> str | None: ...


class Context(Protocol):
    """What values are taken from.

    `params` has what the route's converters made of the path; `query` the first value of each key, `queries` all of them.
    Names in `headers` are lower case. `content_type` is the header's value, "" without one; `raw_body()` is the whole body.
    """

    @property
    def params(self) -> Mapping[str, Any]: ...
    @property
    def query(self) -> Mapping[str, str]: ...
    @property
    def queries(self) -> Mapping[str, list[str]]: ...
    @property
    def headers(self) -> Mapping[str, str]: ...
    @property
    def cookies(self) -> Cookies: ...
    @property
    def content_type(self) -> str: ...

    async def raw_body(self) -> bytes: ...
