"""All routes, compiled: finds the one of a request, or says why there is none."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, Protocol

from tamago.app.routing.conflicts import check_conflicts
from tamago.app.routing.hosts import HostPattern, bare_host
from tamago.app.routing.lookup import NO_PARAMS, Index, build_index, build_match
from tamago.app.routing.pattern import Pattern
from tamago.app.routing.route import ALL_METHODS, Endpoint, Match, Outcome, Route


class Answering(Protocol):
    """What is asked of a context to refuse a request."""

    status: int

    def set(self, name: str, value: str) -> None: ...


class Matcher:
    """Finds routes among some: those for one host, or those for any.

    `match(method, target)` is the hot path. `target` is what stands in the request line, with a query or without. There always is a route:
    one that answers 404, 405 with Allow, or OPTIONS stands for those that do not exist (see `Route.outcome`). HEAD is answered by the
    route for GET unless one for HEAD alone has the same path. `match_websocket(path)` is the same for websockets.
    """

    __slots__ = ("match", "match_websocket")

    match: Callable[[str, bytes], Match]
    match_websocket: Callable[[bytes], Match]

    def __init__(self, routes: Sequence[Route]) -> None:
        http = [route for route in routes if not route.websocket]
        indexes = _indexes(http)
        self.match = build_match(indexes, _Refusals(tuple(indexes), build_match(indexes, _not_found)))
        websockets = build_match({"": build_index([route for route in routes if route.websocket])}, _not_found)
        self.match_websocket = partial(websockets, "")


class RouteTable(Matcher):
    """All routes, compiled once at boot. Raises RouteConflictError for routes that are never reached."""

    __slots__ = ("_hosts", "routes")

    def __init__(self, routes: Iterable[Route]) -> None:
        self.routes = tuple(routes)
        check_conflicts(self.routes)
        super().__init__([route for route in self.routes if route.host is None])
        self._hosts = _matchers_of_hosts(self.routes)

    @property
    def has_hosts(self) -> bool:
        """Whether any route is for a host of its own: only then is `for_host` worth a call."""
        return bool(self._hosts)

    def for_host(self, host: bytes) -> Matcher:
        """Return what matches requests with this Host field. Routes of the host come before those of any host."""
        if self._hosts:
            name = bare_host(host)
            for pattern, matcher in self._hosts:
                if pattern.matches(name):
                    return matcher
        return self


def _matchers_of_hosts(routes: Sequence[Route]) -> tuple[tuple[HostPattern, Matcher], ...]:
    """Return a matcher for each host that routes name: the most exact first, each with the routes of the less exact behind its own."""
    names = {route.host for route in routes if route.host is not None}
    patterns = sorted((HostPattern.parse(name) for name in names), key=lambda pattern: pattern.rank)
    matchers = []
    for pattern in patterns:
        wider = [other.text for other in patterns if other.includes(pattern)]
        ordered = [route for name in (*wider, None) for route in routes if route.host == name]
        matchers.append((pattern, Matcher(ordered)))
    return tuple(matchers)


def _indexes(routes: Sequence[Route]) -> dict[str, Index]:
    """Return an index for each method; those for which the same routes stand, such as GET and HEAD, share one."""
    of_method = {method: tuple(_of_method(routes, method)) for method in _methods(routes)}
    made = {same: build_index(same) for same in set(of_method.values())}
    return {method: made[same] for method, same in of_method.items()}


def _methods(routes: Sequence[Route]) -> list[str]:
    """Return all methods in use, in the order in which Allow names them."""
    used = {method for route in routes for method in route.methods}
    if "GET" in used:
        used.add("HEAD")
    return [method for method in ALL_METHODS if method in used] + sorted(used - set(ALL_METHODS))


def _of_method(routes: Sequence[Route], method: str) -> list[Route]:
    if method != "HEAD":
        return [route for route in routes if method in route.methods]
    # Whoever wrote a HEAD of its own beside a GET meant it, wherever it stands.
    own = {(route.host, route.pattern.shape) for route in routes if "HEAD" in route.methods and "GET" not in route.methods}
    return [
        route for route in routes if "HEAD" in route.methods or ("GET" in route.methods and (route.host, route.pattern.shape) not in own)
    ]


class _Refusals:
    """Makes the answer to a request that no route takes."""

    def __init__(self, methods: tuple[str, ...], match: Callable[[str, bytes], Match]) -> None:
        self._methods = methods
        self._match = match
        self._known: dict[tuple[str, ...], tuple[Match, Match]] = {}  # as many as there are sets of methods that share a path

    def __call__(self, method: str, path: bytes) -> Match:
        allowed = tuple(other for other in self._methods if self._match(other, path) is not _NOT_FOUND)
        if not allowed:
            return _NOT_FOUND
        if "OPTIONS" not in allowed:
            allowed = (*allowed, "OPTIONS")
        if allowed not in self._known:
            self._known[allowed] = (
                _refusal(Outcome.METHOD_NOT_ALLOWED, 405, allowed),
                _refusal(Outcome.OPTIONS, 204, allowed),
            )
        return self._known[allowed][method == "OPTIONS"]


def _refusal(outcome: Outcome, status: int, allowed: tuple[str, ...]) -> Match:
    allow = ", ".join(allowed)

    async def refuse(ctx: Answering) -> None:
        ctx.status = status
        ctx.set("allow", allow)

    return _stand_in(outcome, allowed, refuse)


def _stand_in(outcome: Outcome, methods: tuple[str, ...], endpoint: Endpoint) -> Match:
    route = Route(methods=methods, pattern=Pattern("", ()), handler=endpoint, endpoint=endpoint, outcome=outcome)
    return route, NO_PARAMS


async def _leave_not_found(ctx: Any) -> None:
    """Do nothing: a context that nobody touches answers 404."""


_NOT_FOUND = _stand_in(Outcome.NOT_FOUND, (), _leave_not_found)


def _not_found(method: str, path: bytes) -> Match:  # noqa: ARG001
    return _NOT_FOUND
