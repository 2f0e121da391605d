"""Tells ASGI applications, factories, WSGI applications and native handlers apart by how they are called."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from enum import Enum
from typing import Any

from tamago.errors import TamagoError


class Interface(Enum):
    """How an application is called."""

    ASGI = "asgi"
    ASGI_FACTORY = "asgi-factory"
    WSGI = "wsgi"
    NATIVE = "native"


class UnknownInterfaceError(TamagoError):
    """The application is called in none of the ways we know."""

    def __init__(self, name: str, value: object, *, why: str = "") -> None:
        super().__init__(
            f"{name} ({describe(value)}) is neither an ASGI nor a WSGI application{': ' if why else ''}{why}",
            hint="ASGI is `async def app(scope, receive, send)`, WSGI is `def app(environ, start_response)`, a native handler is "
            "`async def app(exchange)`, a factory takes nothing; if it is one of them, say which with --interface",
        )
        self.name = name


class OldAsgiError(TamagoError):
    """The application speaks ASGI 2: `app(scope)` returns `instance(receive, send)`."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"{name} is an ASGI 2 application (called with the scope alone), which is not supported",
            hint="wrap it: `from asgiref.compatibility import guarantee_single_callable; app = guarantee_single_callable(app)`",
        )
        self.name = name


def detect(name: str, app: Callable[..., Any]) -> Interface:
    """Return how `app` wants to be called. `name` is for the error."""
    call = _callee(app)
    required, allowed, names = _positional(name, app)
    if _is_async(call):
        if required <= 3 <= allowed:
            return Interface.ASGI
        if required == 1 and names[0] != "scope":
            return Interface.NATIVE
        raise UnknownInterfaceError(name, app, why=f"an async callable takes scope, receive and send, this one {_count(required)}")
    if names[:1] == ["scope"] and required == 1:
        raise OldAsgiError(name)
    if names[:3] == ["scope", "receive", "send"] or required == 3:
        return Interface.ASGI  # a plain function that returns the coroutine of another, as decorators do
    if required == 2:
        return Interface.WSGI
    if required == 0:
        return Interface.ASGI_FACTORY
    raise UnknownInterfaceError(name, app, why=f"it takes {_count(required)}")


def resembles_application(value: object) -> bool:
    """Say whether this could be an application (not a factory): what to suggest for a misspelt name."""
    if not callable(value) or isinstance(value, type) or inspect.isbuiltin(value):
        return False
    call = _callee(value)
    if _is_async(call):
        wanted = 3
    elif inspect.isfunction(value):
        return False  # any function of two arguments would pass for WSGI
    else:
        wanted = 2
    try:
        return _positional("", value)[0] == wanted
    except UnknownInterfaceError:
        return False


def describe(value: object) -> str:
    """Return what a value is, in a few words."""
    if isinstance(value, type):
        return f"class {value.__qualname__}"
    if inspect.isroutine(value):
        return f"function {getattr(value, '__qualname__', repr(value))}"
    return f"{type(value).__module__}.{type(value).__qualname__} object"


def _callee(app: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function that runs when `app` is called."""
    while isinstance(app, functools.partial):
        app = app.func
    if inspect.isroutine(app) or isinstance(app, type):
        return app
    return type(app).__call__


def _is_async(call: Callable[..., Any]) -> bool:
    return inspect.iscoroutinefunction(inspect.unwrap(call)) or inspect.iscoroutinefunction(call)


def _positional(name: str, app: Callable[..., Any]) -> tuple[int, float, list[str]]:
    """Return how many positional arguments `app` needs, how many it can take, and their names."""
    try:
        parameters = inspect.signature(app).parameters.values()
    except (TypeError, ValueError):
        raise UnknownInterfaceError(name, app, why="it does not say what arguments it takes") from None
    needed, allowed, names = 0, 0.0, []
    for parameter in parameters:
        if parameter.kind is parameter.VAR_POSITIONAL:
            allowed = float("inf")
        elif parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD):
            allowed += 1
            names.append(parameter.name)
            needed += parameter.default is parameter.empty
    return needed, allowed, names


def _count(number: int) -> str:
    return {0: "no arguments", 1: "one argument"}.get(number, f"{number} arguments")
