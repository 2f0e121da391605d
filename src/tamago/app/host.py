"""What a context needs of the application it belongs to; and a route, as far as it matters here."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from tamago.app.background import BackgroundTasks
    from tamago.app.context import Context
    from tamago.app.cookie_keys import Keys
    from tamago.app.events import Events
    from tamago.app.request import RequestView
    from tamago.app.response import ResponseView

Endpoint = Callable[["Context"], Awaitable[object]]
"""Answers a request by setting `ctx.body` and its like."""


class RoutedTo(Protocol):
    """A route: whoever answers, with its own middleware around it. `timeout` in seconds, None for the application's."""

    @property
    def endpoint(self) -> Endpoint: ...
    @property
    def timeout(self) -> float | None: ...


class Routed(Protocol):
    """What routing found. There always is a route: one that leaves 404, 405 or OPTIONS stands for those that do not exist."""

    @property
    def route(self) -> RoutedTo: ...
    @property
    def params(self) -> dict[str, Any]: ...


class ContextHost(Protocol):
    """The application, as its contexts see it."""

    config: Mapping[str, Any]
    logger: Any
    events: Events
    background: BackgroundTasks
    keys: Keys

    request_class: type[RequestView]
    response_class: type[ResponseView]
    helper_class: Callable[[Context], Any]

    @property
    def httpclient(self) -> Any: ...

    def services(self, context: Context) -> Any:
        """Make the namespace of services of one context."""

    def match(self, method: str, path: bytes) -> Routed:
        """Find the route of a method and a path as it stands in the request line."""

    on_error: Callable[[Exception, Context], Awaitable[None] | None]
    """Turns an error into an answer, by setting `ctx.body` and its like. The `onerror` plugin replaces it."""

    middleware_factories: Mapping[str, Any]
    routes: Sequence[RoutedTo]
