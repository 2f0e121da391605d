"""Routes as rows: for `tamago routes` and `run/router.json`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tamago.app.routing.redirects import Redirect
from tamago.app.routing.route import Route
from tamago.app.routing.table import RouteTable


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteRow:
    """One route in plain values. `source` is `file:line`, relative to the directory asked for where possible; `timeout` is in seconds."""

    methods: tuple[str, ...]
    path: str
    name: str | None
    params: tuple[str, ...]
    handler: str
    middleware: tuple[str, ...]
    host: str | None
    websocket: bool
    timeout: float | None
    source: str


def describe(table: RouteTable, directory: Path | None = None) -> list[RouteRow]:
    """Return a row for each route, in the order in which they are tried."""
    return [_row(route, directory) for route in table.routes]


def _row(route: Route, directory: Path | None) -> RouteRow:
    return RouteRow(
        methods=route.methods,
        path=route.path,
        name=route.name,
        params=tuple(param.name for param in route.pattern.params),
        handler=_handler_name(route),
        middleware=tuple(_function_name(middleware) for middleware in route.middleware),
        host=route.host,
        websocket=route.websocket,
        timeout=route.timeout,
        source=_relative(route.source, directory),
    )


def _handler_name(route: Route) -> str:
    if isinstance(route.handler, Redirect):
        return f"→ {route.handler.text} ({route.handler.status})"
    if route.controller is not None:
        return f"{route.controller.__qualname__}.{route.handler.__name__}"
    return _function_name(route.handler)


def _function_name(function: Callable[..., Any]) -> str:
    name: str = getattr(function, "__qualname__", None) or type(function).__qualname__
    return name.rpartition("<locals>.")[2]


def _relative(source: str, directory: Path | None) -> str:
    file, _, line = source.rpartition(":")
    return f"{Path(file).relative_to(directory)}:{line}" if directory is not None and Path(file).is_relative_to(directory) else source
