"""What `ctx.service` is: objects that are made the first time they are asked for, one of each for each context.

Each object is an attribute of its context under a name no code can write by accident, `service:admin:user`. `ctx.service.admin.user` is
one way to it; an injected service is fetched there directly. Namespaces are not kept: one is a struct of one field, made in C, and its
names are properties over `attrgetter`, so that the first `ctx.service.user` costs 0.3 µs over making the service, and a later one 0.15.
"""

from __future__ import annotations

import types
from collections.abc import Callable
from operator import attrgetter
from typing import Any, cast

import msgspec

from tamago.core.context_class import only_keeps_context
from tamago.core.naming import class_name, instance_key
from tamago.core.suggest import which_one
from tamago.core.tree import Tree

_new: Any = object.__new__


class Lazy:
    """An attribute that is `make(instance)` the first time it is asked for, and that object from then on."""

    __slots__ = ("make", "name")

    def __init__(self, name: str, make: Callable[[Any], Any]) -> None:
        self.name = name
        self.make = make

    def __get__(self, instance: Any, owner: type) -> Any:
        if instance is None:
            return self
        made = self.make(instance)
        setattr(instance, self.name, made)  # not by __dict__, which would have to be made
        return made


class Noted(Lazy):
    """The same for instances that keep account of what was made for them, in `made_services`: the last one's name, then those before it."""

    __slots__ = ("cls",)

    def __init__(self, name: str, make: Callable[[Any], Any]) -> None:
        super().__init__(name, make)
        self.cls = make if isinstance(make, type) and only_keeps_context(make) else None

    def __get__(self, instance: Any, owner: type) -> Any:
        if instance is None:
            return self
        cls, name = self.cls, self.name
        if cls is None:
            made = self.make(instance)
        else:
            made = _new(cls)
            made.ctx = instance
        setattr(instance, name, made)
        instance.made_services = (name, instance.made_services)
        return made


class Namespace(msgspec.Struct, eq=False):
    """Base of every namespace; `subject_` is the context or application it belongs to. Names can be set as well, for that subject."""

    subject_: Any

    def __getattr__(self, name: str) -> Any:
        known = _names(type(self))
        if name in known:  # an AttributeError of a constructor comes here too: let it be seen
            return known[name].__get__(self)
        hint = which_one(name, known)
        raise AttributeError(f"there is no `{_path(type(self))}.{name}`{f'; {hint}' if hint else ''}", name=name, obj=self)

    def __dir__(self) -> list[str]:
        return list(_names(type(self)))

    def __repr__(self) -> str:
        return f"<{_path(type(self))}>"


def provide(owner: type, tree: Tree[Any], name: str) -> type[Namespace]:
    """Give the class `owner`, a composed Context or Application, the attribute `name` with the classes of `tree` below it.

    Each class is called with the instance of `owner`, once, when it is first asked for. Returns the class of the attribute.
    """
    attribute = Noted if hasattr(owner, "made_services") else Lazy
    for dotted, cls in tree.flat().items():
        key = instance_key(name, dotted)
        setattr(owner, key, attribute(key, cls))
    namespace = _namespace(tree, name)
    setattr(owner, name, property(namespace))
    return namespace


def _namespace(tree: Tree[Any], path: str) -> type[Namespace]:
    names: dict[str, Any] = {}
    for name, entry in tree.items():
        if isinstance(entry, Tree):
            names[name] = property(_inner(_namespace(entry, f"{path}.{name}")))
        else:
            names[name] = _leaf(instance_key(path, name))
    title = class_name(path.replace(".", "_"), "Namespace")
    body = {**names, "__module__": __name__, "__qualname__": path}
    return cast("type[Namespace]", types.new_class(title, (Namespace,), exec_body=lambda scope: scope.update(body)))


def _leaf(key: str) -> property:
    def replace(namespace: Namespace, value: object) -> None:
        setattr(namespace.subject_, key, value)

    return property(attrgetter(f"subject_.{key}"), replace)


def _inner(namespace: type[Namespace]) -> Callable[[Namespace], Namespace]:
    return lambda outer: namespace(outer.subject_)


def _names(namespace: type[Namespace]) -> dict[str, property]:
    return {name: value for name, value in vars(namespace).items() if isinstance(value, property)}


def _path(namespace: type[Namespace]) -> str:
    return namespace.__qualname__
