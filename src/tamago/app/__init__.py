"""Egg's application framework in Python: Application and Agent, Context, controllers, services, middleware and routes."""

from __future__ import annotations

from tamago.app.agent import Agent
from tamago.app.application import Application
from tamago.app.binding import Body, Cookie, Header, Query
from tamago.app.chain import CallNext, Middleware, only_for
from tamago.app.context import Context
from tamago.app.errors import BadRequestError, HttpError
from tamago.app.event_stream import Event, EventStream
from tamago.app.request import RequestView
from tamago.app.response import ResponseView
from tamago.app.response_value import Response
from tamago.app.routing import Router, delete, get, patch, post, put, route, routes, websocket
from tamago.app.websocket import BadMessageError, WebSocket, WebSocketClosedError
from tamago.core.app_info import AppInfo
from tamago.core.boot import Boot
from tamago.core.context_class import Controller, Helper, Service
from tamago.core.plugin import Plugin, PluginEntry

__all__ = [
    "Agent",
    "AppInfo",
    "Application",
    "BadMessageError",
    "BadRequestError",
    "Body",
    "Boot",
    "CallNext",
    "Context",
    "Controller",
    "Cookie",
    "Event",
    "EventStream",
    "Header",
    "Helper",
    "HttpError",
    "Middleware",
    "Plugin",
    "PluginEntry",
    "Query",
    "RequestView",
    "Response",
    "ResponseView",
    "Router",
    "Service",
    "WebSocket",
    "WebSocketClosedError",
    "delete",
    "get",
    "only_for",
    "patch",
    "post",
    "put",
    "route",
    "routes",
    "websocket",
]
