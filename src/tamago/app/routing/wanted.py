"""What is said of routes before they exist: by the verbs of a router, and by decorators at a controller's methods."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NotRequired, TypedDict

from tamago.app.middleware_shape import misfit, named
from tamago.app.routing.caller import source_of_caller
from tamago.app.routing.converters import Converter
from tamago.app.routing.errors import RouteError
from tamago.app.routing.hosts import HostPattern
from tamago.app.routing.pattern import parse
from tamago.app.routing.route import UNBOUND, Endpoint, Middleware, Route
from tamago.core.suggest import did_you_mean

Paths = str | Sequence[str]
"""One path or several."""

_METHOD = re.compile(r"[A-Z][A-Z_-]*")


class RouteOptions(TypedDict):
    """What every registration takes by keyword.

    `name` is for `url_for`; `host` is a name such as `api.example.com` or `*.example.com`; `timeout` is in seconds, 0 for none.
    """

    name: NotRequired[str | None]
    host: NotRequired[str | None]
    timeout: NotRequired[float | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """One registration. Its middleware is the outermost first; `source` is `file:line`."""

    methods: tuple[str, ...]
    paths: Paths
    source: str
    middleware: tuple[Middleware, ...] = ()
    name: str | None = None
    host: str | None = None
    timeout: float | None = None
    websocket: bool = False


def wanted_by_caller(
    methods: Sequence[str], paths: Paths, middleware: tuple[Middleware, ...], options: RouteOptions, *, websocket: bool = False
) -> Wanted:
    """Return the registration that the nearest caller outside this package asks for. Raises RouteError for an option there is not."""
    known = tuple(RouteOptions.__annotations__)
    unknown = [option for option in options if option not in known]
    refuse_options(f"the route {paths!r}", unknown, known, more="; middleware and the handler are given in order, without a name")
    return Wanted(methods=tuple(methods), paths=paths, middleware=middleware, websocket=websocket, source=source_of_caller(), **options)


def refuse_options(whose: str, unknown: Iterable[str], known: Sequence[str], *, more: str = "") -> None:
    """Raise RouteError if something was given by keyword that does not exist; `more` is added to the list of what there is."""
    for option in unknown:
        raise RouteError(
            f"{whose} has an option {option!r}, which does not exist{did_you_mean(option, known)}",
            hint=f"there is: {', '.join(known)}{more}",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """What routes that were registered together have in common."""

    prefix: str = ""
    middleware: tuple[Middleware, ...] = ()
    host: str | None = None

    def within(self, inner: Group) -> Group:
        """Return what a group inside this one has. Raises RouteError for a prefix that is none."""
        if inner.prefix and not inner.prefix.startswith("/"):
            raise RouteError(f"the prefix {inner.prefix!r} does not begin with a slash", hint=f"write '/{inner.prefix}'")
        return Group(
            prefix=self.prefix + inner.prefix.rstrip("/"),
            middleware=self.middleware + _checked_middleware(inner.middleware),
            host=inner.host or self.host,
        )

    def around(self, wanted: Wanted) -> Wanted:
        """Return the registration as it is inside this group."""
        paths = (wanted.paths,) if isinstance(wanted.paths, str) else wanted.paths
        return replace(
            wanted,
            paths=tuple(self._path(path) for path in paths),
            middleware=self.middleware + wanted.middleware,
            host=wanted.host or self.host,
        )

    def _path(self, path: str) -> str:
        return self.prefix if self.prefix and path in {"", "/"} else self.prefix + path if path.startswith("/") else path


def make_routes(
    wanted: Wanted,
    handler: Callable[..., Any],
    converters: Mapping[str, Converter],
    *,
    controller: type | None = None,
    endpoint: Endpoint = UNBOUND,
) -> Iterator[Route]:
    """Return a route for each path. Raises RouteError for a registration that cannot be right."""
    if not wanted.paths:
        raise RouteError("a registration has no path", hint="give one, or a list of them")
    patterns = [parse(path, converters) for path in ((wanted.paths,) if isinstance(wanted.paths, str) else wanted.paths)]
    _check_methods(wanted)
    _checked_middleware(wanted.middleware)
    if wanted.host is not None:
        HostPattern.parse(wanted.host)
    if wanted.timeout is not None and not (isinstance(wanted.timeout, int | float) and wanted.timeout >= 0):
        raise RouteError(f"a timeout of {wanted.timeout!r} seconds is none", hint="give a number of seconds, or 0 for no timeout")
    for pattern in patterns:
        yield Route(
            methods=wanted.methods,
            pattern=pattern,
            handler=handler,
            controller=controller,
            name=wanted.name,
            middleware=wanted.middleware,
            host=wanted.host,
            websocket=wanted.websocket,
            timeout=wanted.timeout,
            source=wanted.source,
            endpoint=endpoint,
        )


def _check_methods(wanted: Wanted) -> None:
    for method in wanted.methods:
        if _METHOD.fullmatch(method) is None:
            raise RouteError(f"{method!r} is no HTTP method", hint=f"methods are written in upper case: {method.upper()!r}")
    if not wanted.methods and not wanted.websocket:
        raise RouteError("a registration has no method", hint="give at least one, such as ['GET']")


def _checked_middleware(middleware: tuple[Middleware, ...]) -> tuple[Middleware, ...]:
    for step in middleware:
        if not callable(step) or isinstance(step, type):
            raise RouteError(
                f"{step!r} is not a middleware", hint="give a function `async def middleware(ctx, call_next)` before the handler"
            )
        if problem := misfit(step):
            raise RouteError(
                f"the middleware {named(step)} {problem}", hint="write `async def` and `(ctx, call_next)`, and `await call_next(ctx)` in it"
            )
    return middleware
