"""Routes that send the client elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from tamago.app.routing.converters import Converter
from tamago.app.routing.errors import RouteError, UrlError
from tamago.app.routing.pattern import Pattern, parse
from tamago.app.routing.route import Route
from tamago.app.routing.urls import build_url

_STATUSES = (301, 302, 303, 307, 308)


class Redirectable(Protocol):
    """What is asked of a context to redirect."""

    status: int

    @property
    def params(self) -> Mapping[str, Any]: ...

    def set(self, name: str, value: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Redirect:
    """The endpoint of such a route. The target is `text`, or what `find` returns filled with the parameters of the route."""

    text: str
    status: int
    find: Callable[[], Pattern] | None

    async def __call__(self, ctx: Redirectable) -> None:
        """Redirect; leave it at 404 for parameters from which no path can be made."""
        try:
            url = self.text if self.find is None else build_url(self.find(), _those_of(self.find(), ctx.params))
        except UrlError:
            return
        ctx.status = self.status
        ctx.set("location", url)

    def check(self, route: Route) -> None:
        """Raise RouteError if the target needs parameters which that route does not have. All routes must be registered."""
        if self.find is None:
            return
        try:
            needed = {param.name for param in self.find().params}
        except UrlError as error:
            raise RouteError(f"{route.label} redirects to nowhere: {error.problem}", hint=error.hint) from error
        if missing := sorted(needed - {param.name for param in route.pattern.params}):
            raise RouteError(
                f"{route.label} redirects to {self.text!r} and has no {missing[0]!r}", hint=f"put '{{{missing[0]}}}' into the path"
            )


def _those_of(pattern: Pattern, params: Mapping[str, Any]) -> dict[str, Any]:
    return {param.name: params[param.name] for param in pattern.params}


def make_redirect(target: str, status: int, converters: Mapping[str, Converter], named: Callable[[str], Pattern]) -> Redirect:
    """Return a redirect to a path, which may have parameters, to an http(s) URL or to a named route. Raises RouteError."""
    if status not in _STATUSES:
        raise RouteError(f"{status!r} is no status of a redirect", hint=f"use one of {', '.join(str(known) for known in _STATUSES)}")
    if not target.isprintable() or " " in target or target.startswith("//"):
        raise RouteError(f"{target!r} is nowhere to redirect to", hint="give a path, an http(s) URL or the name of a route")
    if target.startswith("/") and "{" in target:
        pattern = parse(target, converters)
        return Redirect(target, status, lambda: pattern)
    if target.startswith(("/", "http://", "https://")):
        return Redirect(target, status, None)
    return Redirect(target, status, lambda: named(target))
