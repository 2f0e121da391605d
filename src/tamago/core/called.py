"""What runs when something is called, and where it stands: for errors about code that does not fit where it is given."""

from __future__ import annotations

import functools
import inspect
from types import CodeType
from typing import Any


def function_of(called: Any) -> Any:
    """Return the function itself: of a method, of a `functools.partial`, of an object with `__call__`."""
    while isinstance(called, functools.partial):
        called = called.func
    if not inspect.isroutine(called):
        called = getattr(type(called), "__call__", called)  # noqa: B004 - what does it run?
    return getattr(called, "__func__", called)


def written(called: Any) -> Any:
    """Return the function as its author wrote it, without what decorators put around it."""
    return inspect.unwrap(function_of(inspect.unwrap(called)))


def name_of(called: Any) -> str:
    """Return the name a reader knows it by, without the function it was defined in."""
    named = called if isinstance(called, type) else function_of(called)
    if named is not called and not hasattr(called, "__func__") and not isinstance(called, functools.partial):
        named = type(called)  # an object: nobody calls it by the name of its `__call__`
    name: str = getattr(named, "__qualname__", type(named).__qualname__)
    return name.rpartition("<locals>.")[2]


def place_of(called: Any) -> str:
    """Return `file:line` of a function, or of what is called like one; "" if nobody knows."""
    code = getattr(written(called), "__code__", None)
    return f"{code.co_filename}:{code.co_firstlineno}" if isinstance(code, CodeType) else ""


def is_ours(defined: Any) -> bool:
    """Return whether a function or class is part of tamago itself."""
    return (getattr(defined, "__module__", "") or "").partition(".")[0] == "tamago"


def constructor_problem(cls: type, *given: str) -> str:
    """Say why `cls(*given)` cannot be made, "" if it can or if nobody can tell before it is tried.

    A class that is abstract is never made itself, and may have any constructor.
    """
    if inspect.isabstract(cls):
        return ""
    try:
        inspect.signature(cls, follow_wrapped=False).bind(*given)
    except TypeError as error:
        return f"{cls.__qualname__}({', '.join(given)}) cannot be made: {error} ({_place_of_constructor(cls)})"
    except ValueError:  # it is not written in Python
        pass
    return ""


def _place_of_constructor(cls: type) -> str:
    for name in ("__init__", "__new__"):
        place = place_of(getattr(cls, name))
        if place and not place.startswith("<"):  # a dataclass's is a text that was compiled
            return place
    try:
        return f"{inspect.getfile(cls)}:{inspect.getsourcelines(cls)[1]}"
    except (OSError, TypeError):
        return cls.__module__
