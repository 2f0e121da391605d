"""The router: what `app/router.py` registers routes with. Egg's `app.router`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tamago.app.routing.controllers import Controllers, ControllerTree
from tamago.app.routing.converters import custom
from tamago.app.routing.declared import declared_in, group_of, specificity
from tamago.app.routing.registry import Registry
from tamago.app.routing.route import Endpoint, Route
from tamago.app.routing.route_group import RouteGroup
from tamago.app.routing.table import RouteTable
from tamago.app.routing.wanted import Group


class Router(RouteGroup):
    """All routes of an application.

    ```python
    def routes(router: Router) -> None:
        router.get("/", "home.index")
        router.resources("/posts", "post", name="post")
        with router.group("/admin", middleware=[only_admins]) as admin:
            admin.get("/users/{id:int}", "admin.user.show", name="admin_user")
    ```
    """

    def __init__(self, controllers: ControllerTree | None = None) -> None:
        super().__init__(Registry(controllers or {}), Group())

    def add_controllers(self, controllers: ControllerTree | None = None) -> None:
        """Register what decorators declare at the methods of these controllers (by default all), the more special paths first.

        A method that has a route already is left out: whoever wrote it into the router meant that one.
        """
        known = self._registry.controllers if controllers is None else Controllers(controllers)
        taken = {(route.controller, route.handler) for route in self._registry.routes}
        routes: list[Route] = []
        for controller in dict.fromkeys(known.by_name.values()):
            group = self._group.within(group_of(controller))
            for function, wanted in declared_in(controller):
                if (controller, function) not in taken:
                    routes += self._registry.make(group.around(wanted), function, controller=controller)
        self._registry.add(sorted(routes, key=lambda route: specificity(route.pattern)))

    def converter(self, name: str, regex: str, convert: Callable[[str], Any] = str, format: Callable[[Any], str] = str) -> None:  # noqa: A002
        """Make `{x:name}` known in paths registered from now on.

        It takes one segment whose decoded text matches `regex` as a whole. `convert` makes the value; if it raises ValueError the route
        does not match. `format` makes the text again, for `url_for`.
        """
        self._registry.add_converter(custom(name, regex, convert, format))

    @property
    def routes(self) -> tuple[Route, ...]:
        """All routes, in the order of their registration, those of other groups included."""
        return tuple(self._registry.routes)

    def compile(
        self, endpoint_of: Callable[[Route], Endpoint], direct_of: Callable[[Route], Endpoint | None] = lambda _route: None
    ) -> RouteTable:
        """Close the router and return the table of its routes, each with the endpoint that `endpoint_of` makes for it.

        A route that has one already, such as a redirect, needs nothing but its middleware around it.

        Raises RouteConflictError for routes that can never match, and RouteError for redirects to nowhere.
        """
        return self._registry.compile(endpoint_of, direct_of)
