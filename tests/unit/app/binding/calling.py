"""One request to one handler."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from tests.unit.app.binding.fakes import FakeApp, FakeContext, FakeRoute

from tamago.app.binding import compile_handler
from tamago.app.errors import BadRequestError


def run(handler: Callable[..., Any], path: str = "/", *, ctx: FakeContext | None = None, app: FakeApp | None = None, **route: Any) -> Any:
    """Return the body after one request."""
    app = app or FakeApp()
    ctx = ctx or FakeContext()
    endpoint = compile_handler(FakeRoute(handler=handler, path=path, **route), app=app).endpoint
    asyncio.run(endpoint(ctx))  # type: ignore[arg-type]
    return ctx.body


def refused(handler: Callable[..., Any], path: str = "/", *, ctx: FakeContext) -> str:
    """Return what the client is told."""
    with pytest.raises(BadRequestError) as caught:
        run(handler, path, ctx=ctx)
    assert caught.value.status == 400
    return caught.value.problem


def echo(annotation: Any, *default: Any) -> Callable[..., Any]:
    """Return a handler whose one parameter `it` is of this type."""

    async def handler(it: Any) -> Any:
        return (it,)

    handler.__annotations__["it"] = annotation
    handler.__defaults__ = default
    return handler


def json(text: str, content_type: str = "application/json") -> FakeContext:
    return FakeContext(body=text.encode(), content_type=content_type)
