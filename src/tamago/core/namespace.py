"""What `ctx.service` is: attributes that make an object the first time they are asked for, one for each context.

The first access of a name runs one line of Python; from then on it is a plain attribute, because the descriptor defines no `__set__` and
the object in the instance's dictionary goes before it.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import Any

from tamago.core.naming import class_name, did_you_mean
from tamago.core.tree import Tree


class Lazy:
    """A descriptor that calls `make` with what the namespace belongs to, and keeps the result in the instance's dictionary."""

    __slots__ = ("_make", "_name")

    def __init__(self, name: str, make: Callable[[Any], Any]) -> None:
        self._name = name
        self._make = make

    def __get__(self, namespace: Namespace | None, owner: type) -> Any:
        if namespace is None:
            return self._make
        made = namespace.__dict__[self._name] = self._make(namespace._subject)  # noqa: SLF001
        return made


class Attribute(Lazy):
    """The same on the object itself: `ctx.service` is made with `ctx` the first time it is asked for."""

    __slots__ = ()

    def __get__(self, subject: Any, owner: type) -> Any:
        if subject is None:
            return self._make
        made = subject.__dict__[self._name] = self._make(subject)
        return made


class Namespace:
    """Base of every namespace: an instance belongs to one context, or to the application."""

    _path = ""

    def __init__(self, subject: Any) -> None:
        self._subject = subject

    def __getattr__(self, name: str) -> Any:
        known = [key for key, value in vars(type(self)).items() if isinstance(value, Lazy)]
        hint = did_you_mean(name, known)
        raise AttributeError(f"there is no `{self._path}.{name}`{f'; {hint}' if hint else ''}", name=name, obj=self)

    def __repr__(self) -> str:
        return f"<{self._path}>"


def namespace(tree: Tree[Any], path: str) -> type[Namespace]:
    """Return the class of a namespace over `tree`; `path` is what it is called in messages, such as "service".

    Calling it costs one attribute; each class in the tree is instantiated with the same subject when its name is first asked for.
    """
    attributes: dict[str, Any] = {
        name: Lazy(name, namespace(entry, f"{path}.{name}") if isinstance(entry, Tree) else entry) for name, entry in tree.items()
    }
    return type(class_name(path.replace(".", "_"), "Namespace"), (Namespace,), {**attributes, "_path": path, "__module__": __name__})


def getters(tree: Tree[Any], path: str) -> dict[type, Callable[[Any], Any]]:
    """Return for each class in the tree the function that gets its instance of a context: the same object as `ctx.service.user`.

    For whoever injects services by their class; `attrgetter` walks the names in C.
    """
    return {found: attrgetter(f"{path}.{name}") for name, found in tree.flat().items()}
