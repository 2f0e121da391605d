"""Decorators that say at a controller's method which requests it takes; `Router.add_controllers` collects them.

```python
@routes(prefix="/posts")
class PostController(Controller):
    @get("/{id:int}", name="post")
    async def show(self, id: int) -> Post: ...
```
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Never, TypeVar, Unpack

from tamago.app.routing.controllers import actions_of
from tamago.app.routing.errors import RouteError
from tamago.app.routing.pattern import Literal, Pattern, Segment, param_of
from tamago.app.routing.route import Middleware
from tamago.app.routing.wanted import Group, Paths, RouteOptions, Wanted, refuse_options, wanted_by_caller

_ON_FUNCTION = "__tamago_wanted__"
_ON_CLASS = "__tamago_group__"

_F = TypeVar("_F", bound=Callable[..., Any])
_C = TypeVar("_C", bound=type)


def _declare(wanted: Wanted) -> Callable[[_F], _F]:
    def declare(function: _F) -> _F:
        # The decorator next to the function runs first; the reader reads from the top.
        setattr(function, _ON_FUNCTION, (wanted, *getattr(function, _ON_FUNCTION, ())))
        return function

    return declare


def route(methods: Sequence[str], paths: Paths, *middleware: Middleware, **options: Unpack[RouteOptions]) -> Callable[[_F], _F]:
    """Have the method take requests with these HTTP methods."""
    return _declare(wanted_by_caller(methods, paths, middleware, options))


def get(paths: Paths, *middleware: Middleware, **options: Unpack[RouteOptions]) -> Callable[[_F], _F]:
    """Have the method take GET, and HEAD with it."""
    return route(("GET",), paths, *middleware, **options)


def post(paths: Paths, *middleware: Middleware, **options: Unpack[RouteOptions]) -> Callable[[_F], _F]:
    """Have the method take POST."""
    return route(("POST",), paths, *middleware, **options)


def put(paths: Paths, *middleware: Middleware, **options: Unpack[RouteOptions]) -> Callable[[_F], _F]:
    """Have the method take PUT."""
    return route(("PUT",), paths, *middleware, **options)


def patch(paths: Paths, *middleware: Middleware, **options: Unpack[RouteOptions]) -> Callable[[_F], _F]:
    """Have the method take PATCH."""
    return route(("PATCH",), paths, *middleware, **options)


def delete(paths: Paths, *middleware: Middleware, **options: Unpack[RouteOptions]) -> Callable[[_F], _F]:
    """Have the method take DELETE."""
    return route(("DELETE",), paths, *middleware, **options)


def websocket(paths: Paths, *middleware: Middleware, **options: Unpack[RouteOptions]) -> Callable[[_F], _F]:
    """Have the method take websockets."""
    return _declare(wanted_by_caller((), paths, middleware, options, websocket=True))


def routes(prefix: str = "", *, middleware: Sequence[Middleware] = (), host: str | None = None, **unknown: Never) -> Callable[[_C], _C]:
    """Put a prefix, middleware or a host around all that the methods of this controller declare."""
    refuse_options(f"`@routes({prefix!r})`", unknown, ("prefix", "middleware", "host"))

    def declare(controller: _C) -> _C:
        setattr(controller, _ON_CLASS, Group(prefix=prefix, middleware=tuple(middleware), host=host))
        return controller

    return declare


def group_of(controller: type) -> Group:
    """Return what `routes` said of a controller or of one it inherits from."""
    group: Group = getattr(controller, _ON_CLASS, Group())
    return group


def declared_in(controller: type) -> Iterator[tuple[Callable[..., Any], Wanted]]:
    """Return what is declared at the methods of a controller, inherited ones included. Raises RouteError for what no route can call."""
    actions = actions_of(controller)
    for name in dir(controller):
        if name not in actions and (found := _declared_at(inspect.getattr_static(controller, name))):
            raise RouteError(
                f"{controller.__qualname__}.{name} ({found[0].source}) is to take {found[0].paths!r}, and is no method a request can call",
                hint="make it a plain method of the controller whose name does not begin with an underscore",
            )
    for function in actions.values():
        for wanted in _declared_at(function):
            yield function, wanted


def _declared_at(member: Any) -> tuple[Wanted, ...]:
    """Return what decorators said at a member of a class; also below `staticmethod`, `classmethod` and `property`."""
    for inner in (member, getattr(member, "__func__", None), getattr(member, "fget", None)):
        found = getattr(inner, _ON_FUNCTION, ())
        if isinstance(found, tuple) and found:
            return found
    return ()


def specificity(pattern: Pattern) -> tuple[int, ...]:
    """Return what sorts the more special pattern first: text, then typed parameters, then any text, then the rest of the path.

    Files have no order that anybody wrote down, unlike the lines of a router.
    """
    return tuple(_rank(segment) for segment in pattern.segments)


def _rank(segment: Segment) -> int:
    param = param_of(segment)
    if param is None:
        return 0 if all(isinstance(part, Literal) for part in segment) else 1
    return 4 if param.converter.segments else 3 if param.converter.name == "str" else 2
