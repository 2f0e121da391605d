"""The HTTP edge of one worker: listening sockets in, answered requests out.

Joins accepting and serving. Knows no application: whoever makes exchanges can use it.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from tamago.server.accept import Acceptor
from tamago.server.exchange import Exchange
from tamago.server.forwarded import TrustedProxies
from tamago.server.http1 import Connection
from tamago.server.http_server import HttpServer
from tamago.server.recording import Recording
from tamago.server.tunnel import TunnelExchange
from tamago.types import WorkerContext

if TYPE_CHECKING:
    import ssl

    from tamago.server.arrival import Arrival

logger = logging.getLogger("tamago.server")

_LOG_INTERVAL = 30.0


class Edge:
    """The HTTP edge of a worker. Made inside the loop it lives in."""

    def __init__(self, context: WorkerContext, exchange: type[Exchange], websocket: type[TunnelExchange] | None = None) -> None:
        self._context = context
        self._loop = asyncio.get_running_loop()
        self._recording = Recording(context, self._loop)
        exchange, websocket = self._recording.recorded(exchange), websocket and self._recording.recorded(websocket)
        self.server = HttpServer(options=context.options, meter=context.meter, exchange=exchange, websocket=websocket, loop=self._loop)
        self.server.bare_exchange = self._recording.bare_exchange
        self._acceptors: list[Acceptor] = []
        self._arrivals: set[Arrival] = set()
        self._refused_at = -_LOG_INTERVAL

    def serve(self, listeners: Sequence[socket.socket]) -> None:
        """Begin to accept."""
        for listener, tls in zip(listeners, self._context.tls or [None] * len(listeners), strict=True):
            connect = self._connect_for(tls)
            acceptor = Acceptor(listener, connect=connect, accept_pause=self._context.accept_pause, loop=self._loop)
            self._acceptors.append(acceptor)
            acceptor.start()

    def connect(self, sock: socket.socket, address: Any) -> None:
        """Serve an accepted socket; `address` is the client's, as `accept` said it."""
        server = self.server
        self._join(sock, lambda: Connection(server, sock, address))

    def _join(self, sock: socket.socket, make: Callable[[], asyncio.Protocol]) -> None:
        """Give the socket a transport and that protocol."""
        self.server.accepted()
        # By hand, as a task would take two more turns of the loop: it awaits one future, which is set once the protocol has the transport.
        joining = self._loop.connect_accepted_socket(make, sock)
        try:
            joining.send(None).add_done_callback(lambda _: self._joined(joining))
        except Exception:  # noqa: BLE001 - the client left before we began; nobody has to know
            self.server.connected(failed=True)

    def _joined(self, joining: Coroutine[Any, Any, object]) -> None:
        failed = True
        with suppress(Exception):  # as above
            try:
                joining.send(None)
            except StopIteration:
                failed = False
        self.server.connected(failed=failed)

    # ── before HTTP ──────────────────────────────────────────────────────────────────────────────────────────────────

    def _connect_for(self, tls: ssl.SSLContext | None) -> Callable[[socket.socket, Any], None]:
        """Return what to do with a socket of this listener."""
        if self._context.options.proxy_protocol:
            return partial(self._connect_proxied, TrustedProxies(self._context.options.trusted_proxies), tls)
        return self.connect if tls is None else partial(self._connect_secure, tls)

    def _connect_secure(self, tls: ssl.SSLContext, sock: socket.socket, address: Any) -> None:
        self._join(sock, lambda: self._protocol(tls, sock, address, None))

    def _connect_proxied(self, proxies: TrustedProxies, tls: ssl.SSLContext | None, sock: socket.socket, address: Any) -> None:
        from tamago.server.proxied import Proxied  # noqa: PLC0415 - only for who needs it

        host = None if sock.family == socket.AF_UNIX else address[0]
        peer = host or "a Unix socket"

        def complain(why: str) -> None:
            if self._loop.time() - self._refused_at >= _LOG_INTERVAL:
                self._refused_at = self._loop.time()
                logger.warning("closed a connection from %s: %s", peer, why)

        if proxies.trusts(host):
            follow = partial(self._protocol, tls, sock, address)
            self._join(sock, lambda: Proxied(self.server, self._arrivals, follow, complain))
        else:
            sock.close()
            complain("with proxy_protocol only trusted_proxies may connect")

    def _protocol(self, tls: ssl.SSLContext | None, sock: socket.socket, address: Any, client: tuple[str, int] | None) -> asyncio.Protocol:
        """Make the protocol of a connection; `client` is whom the PROXY header named."""

        def make(kind: type[Connection]) -> Connection:
            connection = kind(self.server, sock, address)
            connection.client = client or connection.client
            return connection

        if tls is None:
            return make(Connection)
        from tamago.server.tls import TlsConnection, TlsTransport  # noqa: PLC0415 - only for who needs it

        return TlsTransport(self.server, self._arrivals, tls, lambda: make(TlsConnection))

    async def drain(self, *, closing: bool) -> None:
        """Stop accepting, finish, return when no connection is left."""
        for acceptor in self._acceptors:
            if closing:
                acceptor.stop_when_empty()
            else:
                acceptor.stop()
        for arrival in list(self._arrivals):
            arrival.hurry()
        await self.server.drain()
        self._recording.close()
