"""Routes: registered in `app/router.py` or at controllers' methods, compiled once, and found by method and path."""

from tamago.app.routing.declared import delete, get, patch, post, put, route, routes, websocket
from tamago.app.routing.describe import RouteRow, describe
from tamago.app.routing.errors import RouteConflictError, RouteError, UrlError
from tamago.app.routing.route import Endpoint, Match, Middleware, Outcome, Route
from tamago.app.routing.router import Router
from tamago.app.routing.table import RouteTable

__all__ = [
    "Endpoint",
    "Match",
    "Middleware",
    "Outcome",
    "Route",
    "RouteConflictError",
    "RouteError",
    "RouteRow",
    "RouteTable",
    "Router",
    "UrlError",
    "delete",
    "describe",
    "get",
    "patch",
    "post",
    "put",
    "route",
    "routes",
    "websocket",
]
