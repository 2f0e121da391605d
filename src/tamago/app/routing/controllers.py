"""Finds the handler that a registration means: a dotted name in the tree of controllers, a controller's method, or a function."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Union

from tamago.app.routing.errors import RouteError
from tamago.core.suggest import which_one

ControllerTree = Mapping[str, Union[type, "ControllerTree"]]
"""Controller classes by the names of their files: `tree["admin"]["user"]` is the class of `app/controller/admin/user.py`."""

Found = tuple[Callable[..., Any], type | None]
"""A handler and, when it is a method, the controller in whose name it is called."""


def flatten(tree: ControllerTree) -> dict[str, type]:
    """Return every controller under its dotted name, by name."""
    return dict(sorted(_walk(tree, "")))


def _walk(tree: ControllerTree, prefix: str) -> Iterator[tuple[str, type]]:
    for name, entry in tree.items():
        if isinstance(entry, type):
            yield prefix + name, entry
        else:
            yield from _walk(entry, f"{prefix}{name}.")


def actions_of(controller: type) -> dict[str, Callable[..., Any]]:
    """Return the methods a route may name: functions without a leading underscore, inherited ones included, in order of definition."""
    names = dict.fromkeys(name for base in reversed(controller.__mro__) for name in vars(base) if not name.startswith("_"))
    found = ((name, inspect.getattr_static(controller, name)) for name in names)
    return {name: value for name, value in found if inspect.isfunction(value)}


class Controllers:
    """The controllers of an application, by dotted name."""

    def __init__(self, tree: ControllerTree) -> None:
        self.by_name = flatten(tree)

    def find(self, handler: object) -> Found:
        """Return the handler meant. Raises RouteError if there is none."""
        if isinstance(handler, str):
            return self._named(handler)
        if isinstance(handler, type):
            raise RouteError(f"{handler.__qualname__} is a class, not a handler", hint=f"name a method: {handler.__qualname__}.index")
        if not callable(handler):
            raise RouteError(f"{handler!r} is not a handler", hint="give a function, a controller's method or a name such as 'post.show'")
        return handler, self._owner(handler)

    def controller(self, controller: type | str) -> type:
        """Return the controller class meant. Raises RouteError if there is none."""
        if isinstance(controller, type):
            return controller
        found = self.by_name.get(controller)
        if found is None:
            hint = which_one(controller, self.by_name, nothing="app/controller has none")
            raise RouteError(f"the controller {controller!r} does not exist", hint=hint)
        return found

    def _named(self, dotted: str) -> Found:
        name, _, action = dotted.rpartition(".")
        controller = self.by_name.get(name)
        found = actions_of(controller).get(action) if controller is not None else None
        if found is None:
            known = [f"{name}.{action}" for name, controller in self.by_name.items() for action in actions_of(controller)]
            hint = which_one(dotted, known, nothing="app/controller has none")
            raise RouteError(f"the controller method {dotted!r} does not exist", hint=hint)
        return found, controller

    def _owner(self, function: Callable[..., Any]) -> type | None:
        """Return the class that a bare function such as `PostController.show` was taken from; None for what is no method."""
        if not inspect.isfunction(function):
            return None
        holders = [cls for cls in self.by_name.values() if inspect.getattr_static(cls, function.__name__, None) is function]
        definers = [cls for cls in holders if function.__name__ in vars(cls)]
        if len(definers or holders) == 1:
            return (definers or holders)[0]
        outer, _, _ = function.__qualname__.rpartition(".")
        if not outer or outer.endswith("<locals>"):
            return None
        if holders:
            names = ", ".join(f"'{name}.{function.__name__}'" for name, cls in self.by_name.items() if cls in holders)
            raise RouteError(f"{function.__qualname__} belongs to several controllers", hint=f"name the one you mean: {names}")
        return _by_qualified_name(function, outer)


def _by_qualified_name(function: Callable[..., Any], qualified: str) -> type | None:
    found: object = sys.modules.get(function.__module__)
    for part in qualified.split("."):
        found = getattr(found, part, None)
    if not isinstance(found, type):
        raise RouteError(
            f"{function.__qualname__} is a method of a class that is no controller",
            hint="put the class into app/controller, or give a function",
        )
    return None if isinstance(inspect.getattr_static(found, function.__name__, None), staticmethod) else found
