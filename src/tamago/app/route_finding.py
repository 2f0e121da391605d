"""Finds the route of a request by its method, target and host."""

from __future__ import annotations

from collections.abc import Sequence

from tamago.app.routing import Match, RouteTable
from tamago.app.target import split_target

Fields = Sequence[tuple[bytes, bytes]]


def find_route(table: RouteTable, method: str, target: bytes, fields: Fields) -> Match:
    """Return the route and its parameters; there always is one, such as that which leaves 404."""
    return (table.for_host(host_of(fields)) if table.has_hosts else table).match(method, target)


def find_websocket(table: RouteTable, target: bytes, fields: Fields) -> Match:
    """Return the same for a websocket."""
    path, _ = split_target(target)
    return (table.for_host(host_of(fields)) if table.has_hosts else table).match_websocket(path)


def host_of(fields: Fields) -> bytes:
    """Return the Host that a request asks for, b"" without one."""
    for name, value in fields:
        if name == b"host":
            return value
    return b""
