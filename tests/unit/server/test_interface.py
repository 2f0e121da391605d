from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import pytest

from tamago.server.interface import Interface, OldAsgiError, UnknownInterfaceError, detect, resembles_application


async def asgi(scope: Any, receive: Any, send: Any) -> None: ...


async def asgi_with_more(scope: Any, receive: Any, send: Any, extra: int = 0) -> None: ...


def wrapped(scope: Any, receive: Any, send: Any) -> Awaitable[None]:
    return asgi(scope, receive, send)


@functools.wraps(asgi)
def decorated(*args: Any) -> Any:
    return asgi(*args)


class AsgiObject:
    async def __call__(self, scope: Any, receive: Any, send: Any) -> None: ...

    async def method(self, scope: Any, receive: Any, send: Any) -> None: ...


class AsgiWrapper:
    def __call__(self, scope: Any, receive: Any, send: Any) -> Awaitable[None]:
        return asgi(scope, receive, send)


def wsgi(environ: Any, start_response: Any) -> Iterable[bytes]:
    return []


class WsgiObject:
    def __call__(self, environ: Any, start_response: Any) -> Iterable[bytes]:
        return []


class WsgiClass:
    def __init__(self, environ: Any, start_response: Any) -> None: ...

    def __iter__(self) -> Any: ...


def factory() -> Any: ...


def factory_with_options(debug: bool = False) -> Any: ...


class FactoryClass: ...


def asgi2(scope: Any) -> Any: ...


class Asgi2Class:
    def __init__(self, scope: Any) -> None: ...

    async def __call__(self, receive: Any, send: Any) -> None: ...


async def native(exchange: Any) -> None: ...


async def bare() -> None: ...


def one(thing: Any) -> None: ...


CASES: list[tuple[Callable[..., Any], Interface]] = [
    (asgi, Interface.ASGI),
    (asgi_with_more, Interface.ASGI),
    (wrapped, Interface.ASGI),
    (decorated, Interface.ASGI),
    (AsgiObject(), Interface.ASGI),
    (AsgiObject().method, Interface.ASGI),
    (AsgiWrapper(), Interface.ASGI),
    (functools.partial(asgi_with_more, extra=1), Interface.ASGI),
    (functools.partial(functools.partial(asgi)), Interface.ASGI),
    (wsgi, Interface.WSGI),
    (WsgiObject(), Interface.WSGI),
    (WsgiClass, Interface.WSGI),
    (factory, Interface.ASGI_FACTORY),
    (factory_with_options, Interface.ASGI_FACTORY),
    (FactoryClass, Interface.ASGI_FACTORY),
    (functools.partial(one, 1), Interface.ASGI_FACTORY),
    (native, Interface.NATIVE),
]


@pytest.mark.parametrize(("app", "expected"), CASES, ids=[str(n) for n in range(len(CASES))])
def test_applications_are_told_apart_by_how_they_are_called(app: Callable[..., Any], expected: Interface) -> None:
    assert detect("main:app", app) is expected


@pytest.mark.parametrize("app", [asgi2, Asgi2Class])
def test_asgi_2_is_named_and_refused(app: Callable[..., Any]) -> None:
    with pytest.raises(OldAsgiError, match="main:app is an ASGI 2 application"):
        detect("main:app", app)


@pytest.mark.parametrize(
    ("app", "why"), [(bare, "this one no arguments"), (one, "it takes one argument"), (type, "it does not say what arguments it takes")]
)
def test_what_is_no_application_is_refused_with_the_reason(app: Callable[..., Any], why: str) -> None:
    with pytest.raises(UnknownInterfaceError, match=why) as caught:
        detect("main:app", app)
    assert "--interface" in caught.value.hint


def test_frameworks_are_told_apart() -> None:
    from fastapi import FastAPI
    from flask import Flask
    from starlette.applications import Starlette

    assert detect("x", FastAPI()) is Interface.ASGI
    assert detect("x", Starlette()) is Interface.ASGI
    assert detect("x", Flask("x")) is Interface.WSGI


def test_django_is_told_apart() -> None:
    from django.core.handlers.asgi import ASGIHandler  # type: ignore[import-untyped]
    from django.core.handlers.wsgi import WSGIHandler  # type: ignore[import-untyped]

    assert detect("x", WSGIHandler.__new__(WSGIHandler)) is Interface.WSGI
    assert detect("x", ASGIHandler.__new__(ASGIHandler)) is Interface.ASGI


def test_only_applications_are_suggested() -> None:
    assert all(resembles_application(value) for value in (asgi, AsgiObject(), WsgiObject()))
    assert not any(resembles_application(value) for value in (wsgi, factory, FactoryClass, print, 1, one))
