"""One worker's life for a hosted ASGI application: lifespan around an HTTP edge."""

from __future__ import annotations

import socket
from collections.abc import Sequence

from tamago.server.asgi import AsgiApp, AsgiHost
from tamago.server.asgi_websocket import websocket_type
from tamago.server.edge import Edge
from tamago.server.forwarded import TrustedProxies
from tamago.server.lifespan import Lifespan
from tamago.types import WorkerContext


class AsgiWorker:
    """Implements `tamago.types.WorkerRuntime` for an ASGI application."""

    def __init__(self, app: AsgiApp, context: WorkerContext) -> None:
        options = context.options
        self._context = context
        self._host = _host_type(context)(
            app,
            root_path=options.root_path,
            trusted_proxies=TrustedProxies(options.trusted_proxies),
            pathsend=options.pathsend,
            cancel_on_disconnect=options.cancel_on_disconnect,
        )
        self._lifespan = Lifespan(app, self._host.state)
        self._edge: Edge | None = None

    async def start(self) -> None:
        """Run the application's lifespan start-up."""
        await self._lifespan.startup()

    async def serve(self, listeners: Sequence[socket.socket]) -> None:
        """Begin to accept."""
        self._edge = Edge(self._context, self._host.exchange_type(), websocket_type(self._host))
        self._edge.serve(listeners)

    async def ready(self) -> None:
        """ASGI has no word for the whole cluster being ready; applications ask `tamago.ready`."""

    async def drain(self, *, closing: bool) -> None:
        """Stop accepting, finish, return when no connection is left."""
        if self._edge is not None:
            await self._edge.drain(closing=closing)

    async def stop(self) -> None:
        """Run the application's lifespan shutdown."""
        await self._lifespan.shutdown()


def _host_type(context: WorkerContext) -> type[AsgiHost]:
    if not any(context.tls):
        return AsgiHost
    from tamago.server.asgi_tls import TlsAsgiHost  # noqa: PLC0415 - only for who needs it

    return TlsAsgiHost
