"""Registers routes that have a prefix, middleware or a host in common; the router itself is the group that has none."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, Never, Self, Unpack

from tamago.app.routing.caller import source_of_caller
from tamago.app.routing.controllers import actions_of
from tamago.app.routing.errors import RouteError
from tamago.app.routing.redirects import make_redirect
from tamago.app.routing.registry import Registry
from tamago.app.routing.resources import RESOURCE_ROUTES, resource_name
from tamago.app.routing.route import ALL_METHODS, Middleware
from tamago.app.routing.wanted import Group, Paths, RouteOptions, Wanted, refuse_options, wanted_by_caller


class RouteGroup:
    """Registers routes, in the order in which they are tried.

    A registration is `verb(path or paths, *middleware, handler, name=…, host=…, timeout=…)`. The handler is a controller's method
    (`PostController.show`), its dotted name (`"post.show"`) or a function `(ctx, …)`. What cannot be right raises RouteError at once.
    """

    def __init__(self, registry: Registry, group: Group) -> None:
        self._registry = registry
        self._group = group

    # ── verbs ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def get(self, paths: Paths, *steps: Any, **options: Unpack[RouteOptions]) -> None:
        """Take GET, and HEAD with it."""
        self.register(("GET",), paths, *steps, **options)

    def post(self, paths: Paths, *steps: Any, **options: Unpack[RouteOptions]) -> None:
        """Take POST."""
        self.register(("POST",), paths, *steps, **options)

    def put(self, paths: Paths, *steps: Any, **options: Unpack[RouteOptions]) -> None:
        """Take PUT."""
        self.register(("PUT",), paths, *steps, **options)

    def patch(self, paths: Paths, *steps: Any, **options: Unpack[RouteOptions]) -> None:
        """Take PATCH."""
        self.register(("PATCH",), paths, *steps, **options)

    def delete(self, paths: Paths, *steps: Any, **options: Unpack[RouteOptions]) -> None:
        """Take DELETE."""
        self.register(("DELETE",), paths, *steps, **options)

    def head(self, paths: Paths, *steps: Any, **options: Unpack[RouteOptions]) -> None:
        """Take HEAD, instead of the route for GET with the same path."""
        self.register(("HEAD",), paths, *steps, **options)

    def options(self, paths: Paths, *steps: Any, **options: Unpack[RouteOptions]) -> None:
        """Take OPTIONS, which is answered with Allow otherwise."""
        self.register(("OPTIONS",), paths, *steps, **options)

    def all(self, paths: Paths, *steps: Any, **options: Unpack[RouteOptions]) -> None:
        """Take whatever method no route before this one takes."""
        self.register(ALL_METHODS, paths, *steps, **options)

    def register(self, methods: Sequence[str], paths: Paths, *steps: Any, **options: Unpack[RouteOptions]) -> None:
        """Take these methods."""
        self._add(wanted_by_caller(methods, paths, steps[:-1], options), steps)

    def websocket(self, paths: Paths, *steps: Any, **options: Unpack[RouteOptions]) -> None:
        """Take websockets."""
        self._add(wanted_by_caller((), paths, steps[:-1], options, websocket=True), steps)

    def _add(self, wanted: Wanted, steps: tuple[Any, ...]) -> None:
        if not steps:
            raise RouteError(f"the route {wanted.paths!r} has no handler", hint="give one after the path, such as 'post.show'")
        handler, controller = self._registry.controllers.find(steps[-1])
        self._registry.add(self._registry.make(self._group.around(wanted), handler, controller=controller))

    # ── several routes at once ───────────────────────────────────────────────────────────────────────────────────────

    def resources(
        self, prefix: str, *steps: Any, name: str | None = None, param: str = "id", host: str | None = None, **unknown: Never
    ) -> None:
        """Register the routes of a REST resource: those of index, new, create, show, edit, update and destroy that the controller has.

        The last step is the controller, a class or its dotted name. `param` is the parameter, such as "id:int". With a `name`, in singular
        or plural, the routes are called posts, new_post, post, edit_post and destroy_post.
        """
        refuse_options(f"the resource {prefix!r}", unknown, ("name", "param", "host"), more="; middleware is given before the controller")
        if not steps:
            raise RouteError(f"the resource {prefix!r} has no controller", hint="give one after the path, such as 'post'")
        controller = self._registry.controllers.controller(steps[-1])
        actions = actions_of(controller)
        rows = [row for row in RESOURCE_ROUTES if row.action in actions]
        if not rows:
            known = ", ".join(row.action for row in RESOURCE_ROUTES)
            raise RouteError(f"{controller.__qualname__} has no method for a resource", hint=f"define any of {known}")
        source = source_of_caller()
        for row in rows:
            wanted = Wanted(
                methods=row.methods,
                paths=(prefix.rstrip("/") + row.path.replace("?", param)) or "/",
                middleware=steps[:-1],
                name=resource_name(row.name, name) if name else None,
                host=host,
                source=source,
            )
            self._registry.add(self._registry.make(self._group.around(wanted), actions[row.action], controller=controller))

    def redirect(
        self, paths: Paths, target: str, status: int = 302, *, name: str | None = None, host: str | None = None, **unknown: Never
    ) -> None:
        """Send whoever comes here to another path, to a named route or to an http(s) URL.

        Parameters of the path fill those of the target; a group's prefix is not put before it.
        """
        refuse_options(f"the redirect from {paths!r}", unknown, ("status", "name", "host"))
        endpoint = make_redirect(target, status, self._registry.converters, self._registry.named)
        wanted = Wanted(methods=ALL_METHODS, paths=paths, name=name, host=host, source=source_of_caller())
        routes = self._registry.make(self._group.around(wanted), endpoint, endpoint=endpoint)
        self._registry.add(routes)
        for route in routes:
            self._registry.check_later(partial(endpoint.check, route))

    def group(self, prefix: str = "", middleware: Sequence[Middleware] = (), host: str | None = None, **unknown: Never) -> RouteGroup:
        """Return a group for routes that begin alike; also for `with`. Its middleware runs before that of the routes."""
        refuse_options(f"the group {prefix!r}", unknown, ("prefix", "middleware", "host"))
        return RouteGroup(self._registry, self._group.within(Group(prefix=prefix, middleware=tuple(middleware), host=host)))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        """Do nothing: the block is for the reader."""

    def url_for(self, name: str, /, **params: Any) -> str:
        """Return the path of a named route with its parameters filled in; parameters it does not have become the query.

        Raises UrlError for an unknown name, a missing parameter and a value that does not fit.
        """
        return self._registry.url_for(name, params)
