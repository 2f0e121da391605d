"""What a context needs of the application it belongs to."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Protocol

from tamago.app.routing import Router, RouteTable

if TYPE_CHECKING:
    from tamago.app.background import BackgroundTasks
    from tamago.app.context import Context
    from tamago.app.cookie_keys import Keys
    from tamago.app.events import Events
    from tamago.app.request import RequestView
    from tamago.app.response import ResponseView

Endpoint = Callable[["Context"], Awaitable[object]]
"""Answers a request by setting `ctx.body` and its like."""


class ContextHost(Protocol):
    """The application, as its contexts and their middleware see it; `config` is complete and frozen."""

    config: Any
    events: Events
    background: BackgroundTasks
    keys: Keys
    router: Router
    table: RouteTable

    request_class: type[RequestView]
    response_class: type[ResponseView]
    helper_class: Callable[[Context], Any]

    services: Callable[[Context], Any]
    """Makes the namespace of services of one context."""

    on_error: Callable[[Exception, Context], Awaitable[None] | None]
    """Turns an error into an answer, by setting `ctx.body` and its like. The `onerror` plugin replaces it."""

    @property
    def logger(self) -> Any: ...
    @property
    def httpclient(self) -> Any: ...
