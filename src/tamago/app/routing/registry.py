"""What all groups of one router share: routes in the order of registration, their names, and the kinds of parameters."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from tamago.app.routing.controllers import Controllers, ControllerTree
from tamago.app.routing.converters import BUILT_IN, Converter
from tamago.app.routing.errors import RouteError, UrlError
from tamago.app.routing.pattern import Pattern
from tamago.app.routing.route import UNBOUND, Endpoint, Route
from tamago.app.routing.table import RouteTable
from tamago.app.routing.urls import build_url
from tamago.app.routing.wanted import Wanted, make_routes
from tamago.core.suggest import which_one


class Registry:
    """Open for registration until it is compiled."""

    def __init__(self, controllers: ControllerTree) -> None:
        self.controllers = Controllers(controllers)
        self.converters: dict[str, Converter] = dict(BUILT_IN)
        self.routes: list[Route] = []
        self._names: dict[str, Route] = {}
        self._checks: list[Callable[[], object]] = []
        self._compiled = False

    def make(
        self, wanted: Wanted, handler: Callable[..., Any], *, controller: type | None = None, endpoint: Endpoint = UNBOUND
    ) -> list[Route]:
        """Return the routes of a registration and keep their name. Raises RouteError for one that cannot be right."""
        routes = list(make_routes(wanted, handler, self.converters, controller=controller, endpoint=endpoint))
        if wanted.name is not None:
            self._claim_name(wanted.name, routes[0])
        return routes

    def add(self, routes: Iterable[Route]) -> None:
        """Register routes behind the others. Raises RouteError when it is too late."""
        self._check_open()
        self.routes += routes

    def _check_open(self) -> None:
        """Raise RouteError if the routes are compiled already."""
        if self._compiled:
            raise RouteError("the routes are compiled already", hint="register it in app/router.py or in the constructor of a boot class")

    def _claim_name(self, name: str, route: Route) -> None:
        """Let `url_for` know the route by this name. Routes with the same path may share one. Raises RouteError if another has it."""
        other = self._names.setdefault(name, route)
        if other.pattern.shape != route.pattern.shape:
            raise RouteError(f"the name {name!r} of {route.label} belongs to {other.label}", hint="give one of them another name")

    def add_converter(self, converter: Converter) -> None:
        """Make a kind of parameter known. Raises RouteError if its name is taken."""
        self._check_open()
        if converter.name in self.converters:
            raise RouteError(f"there is a converter {converter.name!r} already", hint="give yours another name")
        self.converters[converter.name] = converter

    def named(self, name: str) -> Pattern:
        """Return the path of a named route. Raises UrlError for an unknown name."""
        route = self._names.get(name)
        if route is None:
            raise UrlError(f"no route is named {name!r}", hint=which_one(name, self._names, nothing="no route has a name"))
        return route.pattern

    def url_for(self, name: str, params: Mapping[str, Any]) -> str:
        """Return the URL of a named route."""
        return build_url(self.named(name), params, name=name)

    def check_later(self, check: Callable[[], object]) -> None:
        """Run a check when all routes are known; it raises RouteError."""
        self._checks.append(check)

    def compile(self, endpoint_of: Callable[[Route], Endpoint], direct_of: Callable[[Route], Endpoint | None]) -> RouteTable:
        """Close the registry and return the table of its routes, each with what `endpoint_of` and `direct_of` make."""
        for check in self._checks:
            check()
        self._compiled = True
        return RouteTable(replace(route, endpoint=endpoint_of(route), direct=direct_of(route)) for route in self.routes)
