"""Tells what cannot be a middleware, before a request finds out."""

from __future__ import annotations

import dis
import inspect
from itertools import pairwise
from types import CodeType
from typing import Any

from tamago.core.called import function_of, name_of, place_of

_CONSTANTS = {"LOAD_CONST", "LOAD_SMALL_INT"}


def is_async(called: Any) -> bool:
    """Return whether something is called as an async function is: it is one, a method or partial of one, or its `__call__` is."""
    return inspect.iscoroutinefunction(function_of(called))


def named(middleware: Any) -> str:
    """Return its name with file and line."""
    place = place_of(middleware)
    return f"{name_of(middleware)} ({place})" if place else name_of(middleware)


def misfit(middleware: Any) -> str:
    """Say what is wrong with what is to be called by `await middleware(ctx, call_next)`, "" for nothing that is certain.

    A plain function may return something to await, such as `call_next(ctx)`; so may what a decorator made. Only those are refused whose
    code shows that they never do.
    """
    code = getattr(function_of(middleware), "__code__", None)
    flags = code.co_flags if isinstance(code, CodeType) else 0
    can_be_awaited = flags & (inspect.CO_COROUTINE | inspect.CO_ITERABLE_COROUTINE)  # the latter is `types.coroutine`'s
    if flags & (inspect.CO_GENERATOR | inspect.CO_ASYNC_GENERATOR) and not can_be_awaited:
        return "is a generator, which nobody can await"
    try:
        inspect.signature(middleware, follow_wrapped=False).bind("ctx", "call_next")
    except TypeError as error:
        return f"does not take (ctx, call_next): {error}"
    except ValueError:  # it is not written in Python
        return ""
    if isinstance(code, CodeType) and not can_be_awaited and _returns_constants(code):
        return "is not async, and returns nothing to await"
    return ""


def _returns_constants(code: CodeType) -> bool:
    """Return whether a function returns, and then always a constant: None, mostly, where its last line is no `return`.

    The code says so and not the source, which is not always there. A value that comes from two places counts as anything.
    """
    constant = [
        here.opname == "RETURN_CONST" or (before.opname in _CONSTANTS and not here.is_jump_target)
        for before, here in pairwise(dis.get_instructions(code))
        if here.opname in {"RETURN_VALUE", "RETURN_CONST"}
    ]
    return bool(constant) and all(constant)
