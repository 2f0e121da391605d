"""Routes that can never match because those registered before take everything: found at boot, all at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tamago.app.routing.errors import RouteConflictError
from tamago.app.routing.overlap import covers
from tamago.app.routing.route import ALL_METHODS, Route


def check_conflicts(routes: Iterable[Route]) -> None:
    """Raise RouteConflictError if a route, or one of its methods, is never reached.

    A route for all methods takes what is left: it conflicts only when nothing is.
    """
    if problems := list(_problems(routes)):
        raise RouteConflictError(problems)


def _problems(routes: Iterable[Route]) -> Iterator[str]:
    earlier: dict[tuple[str | None, bool], list[Route]] = {}
    for route in routes:
        before = earlier.setdefault((route.host, route.websocket), [])
        if blocker := _blocker(before, route):
            yield f"{route.label} can never match: {blocker.label} takes it all"
        before.append(route)


def _blocker(before: list[Route], route: Route) -> Route | None:
    """Return a route that takes what this one was registered for, if all of it (or, with methods of its own, any of them) is gone."""
    taken: dict[str, Route] = {}
    for other in before:
        if covers(other.pattern, route.pattern):
            taken = dict.fromkeys(_kinds(other), other) | taken
    lost = [taken.get(kind) for kind in _kinds(route)]
    if route.methods == ALL_METHODS:
        return lost[0] if all(lost) else None
    return next((other for other in lost if other), None)


def _kinds(route: Route) -> tuple[str, ...]:
    return route.methods or ("websocket",)
