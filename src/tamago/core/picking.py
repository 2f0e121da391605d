"""Picks the class a file is there for."""

from __future__ import annotations

from types import ModuleType
from typing import TypeVar

from tamago.core.load_error import LoadError
from tamago.core.naming import class_name

_T = TypeVar("_T")


def pick(module: ModuleType, base: type[_T], suffix: str) -> type[_T]:
    """Return the subclass of `base` that `module` defines.

    Of several it is the one called like the file and `suffix`: `UserService` in `user.py`. Those that begin with `_`, and those imported
    from elsewhere, do not count. Raises LoadError when there is none, or none with that name among several.
    """
    wanted = class_name(module.__name__.rpartition(".")[2], suffix)
    defined = defined_in(module, base)
    if len(defined) == 1:
        return defined[0]
    for candidate in defined:
        if candidate.__name__ == wanted:
            return candidate
    parent = "" if base is object else f"({base.__name__})"
    if defined:
        names = ", ".join(candidate.__name__ for candidate in defined)
        raise LoadError([f"{module.__file__} defines {names}, and none is called {wanted}"], hint=f"call the one to load {wanted}")
    raise LoadError([f"{module.__file__} defines no {_kind(base)}"], hint=f"write `class {wanted}{parent}` there, or move the file")


def defined_in(module: ModuleType, base: type[_T]) -> list[type[_T]]:
    """Return the public subclasses of `base` that the module itself defines, in their order, each once however many names it has."""
    found = {
        id(value): value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, base) and value is not base
        if value.__module__ == module.__name__ and not value.__name__.startswith("_")
    }
    return list(found.values())


def _kind(base: type) -> str:
    return "class" if base is object else f"subclass of {base.__name__}"
