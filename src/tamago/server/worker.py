"""One worker's life for a hosted ASGI application: lifespan around an HTTP edge."""

from __future__ import annotations

from tamago.server.asgi import AsgiApp, AsgiHost
from tamago.server.asgi_websocket import websocket_type
from tamago.server.edge import Edge
from tamago.server.edge_worker import EdgeWorker
from tamago.server.forwarded import TrustedProxies
from tamago.server.lifespan import Lifespan
from tamago.types import WorkerContext


class AsgiWorker(EdgeWorker):
    """The life of a worker with an ASGI application."""

    def __init__(self, app: AsgiApp, context: WorkerContext) -> None:
        super().__init__(context)
        self._host = asgi_host(app, context)
        self._lifespan = Lifespan(app, self._host.state)

    def open_edge(self) -> Edge:
        return Edge(self.context, self._host.exchange_type(), websocket_type(self._host))

    async def start(self) -> None:
        """Run the application's lifespan start-up."""
        await self._lifespan.startup()

    async def stop(self) -> None:
        """Run the application's lifespan shutdown."""
        await self._lifespan.shutdown()


def asgi_host(app: AsgiApp, context: WorkerContext) -> AsgiHost:
    """Return what joins an ASGI application to the edge of this worker."""
    options = context.options
    return _host_type(context)(
        app,
        root_path=options.root_path,
        trusted_proxies=TrustedProxies(options.trusted_proxies),
        pathsend=options.pathsend,
        cancel_on_disconnect=options.cancel_on_disconnect,
    )


def _host_type(context: WorkerContext) -> type[AsgiHost]:
    if not any(context.tls):
        return AsgiHost
    from tamago.server.asgi_tls import TlsAsgiHost  # noqa: PLC0415 - only for who needs it

    return TlsAsgiHost
