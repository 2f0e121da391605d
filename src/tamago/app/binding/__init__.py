"""From a handler's signature to its arguments: path, query, header, cookie and body by annotation; services for who asks for them."""

from __future__ import annotations

from tamago.app.binding.bad_values import BadValue, Source
from tamago.app.binding.compiling import Bound, compile_handler, compile_handlers
from tamago.app.binding.contract import Endpoint
from tamago.app.binding.errors import HandlerError, InjectionError
from tamago.app.binding.injection import inject
from tamago.app.binding.markers import Body, Cookie, Header, Query
from tamago.app.binding.service_index import ServiceIndex

__all__ = [
    "BadValue",
    "Body",
    "Bound",
    "Cookie",
    "Endpoint",
    "HandlerError",
    "Header",
    "InjectionError",
    "Query",
    "ServiceIndex",
    "Source",
    "compile_handler",
    "compile_handlers",
    "inject",
]
