"""What tests of an application need: a plugin of pytest (`plugin`), and the types of its fixtures. Egg's egg-mock."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tamago.testing.clusters import TestedCluster
    from tamago.testing.environments import EnvironmentMock
    from tamago.testing.http_mocks import HttpMock, HttpMocks
    from tamago.testing.logs import LogExpectations
    from tamago.testing.mocked_contexts import ContextMaker
    from tamago.testing.service_mocks import MockedMethod, ServiceMocks
    from tamago.testing.websockets import TestedWebSocket, WebSocketRefusedError, WebSockets

__all__ = [
    "ContextMaker",
    "EnvironmentMock",
    "HttpMock",
    "HttpMocks",
    "LogExpectations",
    "MockedMethod",
    "ServiceMocks",
    "TestedCluster",
    "TestedWebSocket",
    "WebSocketRefusedError",
    "WebSockets",
]

_HOMES = {
    "ContextMaker": "mocked_contexts",
    "EnvironmentMock": "environments",
    "HttpMock": "http_mocks",
    "HttpMocks": "http_mocks",
    "LogExpectations": "logs",
    "MockedMethod": "service_mocks",
    "ServiceMocks": "service_mocks",
    "TestedCluster": "clusters",
    "TestedWebSocket": "websockets",
    "WebSocketRefusedError": "websockets",
    "WebSockets": "websockets",
}


def __getattr__(name: str) -> object:
    # pytest imports this package wherever tamago is installed, and most projects there are not applications of ours.
    if name not in _HOMES:
        raise AttributeError(f"module 'tamago.testing' has no attribute {name!r}")
    return getattr(import_module(f"tamago.testing.{_HOMES[name]}"), name)
