"""A route, and what a table finds for a request."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, cast

from tamago.app.routing.pattern import Pattern

Endpoint = Callable[[Any], Awaitable[object]]
"""Answers the request of a context."""

UNBOUND = cast("Endpoint", None)
"""The endpoint of a route before it is compiled: None, but typed as what every route of a table has, so that no request need ask."""

Middleware = Callable[[Any, Endpoint], Awaitable[object]]
"""`await middleware(ctx, call_next)`."""

ALL_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


class Outcome(Enum):
    """What routing came to."""

    FOUND = "found"
    NOT_FOUND = "not found"
    METHOD_NOT_ALLOWED = "method not allowed"
    OPTIONS = "options"  # answered by the table: the path exists, and nobody handles OPTIONS there


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Route:
    """One registered route; two are equal only if they are the same.

    `handler` is a function; when it is a method of a controller, `controller` is the class it is called in the name of. `middleware` is the
    route's own, outermost first, its groups' included. `timeout` is in seconds, None for the application's and 0 for none.
    `source` is `file:line` of the registration. `endpoint` answers a request: every route of a table has one. Before, only a route whose
    handler needs no binding has it, such as a redirect; the others have None. `direct` is a shorter way to the same answer, for who sets
    the body of the context to what it returns; None where there is no such way, as through middleware.

    A route whose `outcome` is not FOUND stands for the lack of one; its `methods` are then those the path has.
    """

    methods: tuple[str, ...]
    pattern: Pattern
    handler: Callable[..., Any]
    controller: type | None = None
    name: str | None = None
    middleware: tuple[Middleware, ...] = ()
    host: str | None = None
    websocket: bool = False
    timeout: float | None = None
    source: str = ""
    endpoint: Endpoint = UNBOUND
    direct: Endpoint | None = None
    outcome: Outcome = Outcome.FOUND

    @property
    def path(self) -> str:
        """The path as registered, such as `/posts/{id:int}`."""
        return self.pattern.template

    @property
    def label(self) -> str:
        """What messages call this route: methods, path and where it stands."""
        what = "WEBSOCKET" if self.websocket else "ALL" if self.methods == ALL_METHODS else ", ".join(self.methods)
        where = f" of {self.host}" if self.host else ""
        return f"{what} {self.path}{where} ({self.source})"


Match = tuple[Route, Mapping[str, Any]]
"""A route and what its converters made of the path, read-only. A bare tuple: to make a named one takes five times as long."""
