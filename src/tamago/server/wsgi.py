"""WSGI applications on the edge: the body is awaited in the loop, the application runs in a thread, its answer comes back in order.

A thread is taken only once the whole request is there, so that slow clients cost no thread.
"""

from __future__ import annotations

import asyncio
import socket
import tempfile
import threading
from collections.abc import Awaitable, Sequence
from typing import IO

from tamago.server.edge import Edge
from tamago.server.exchange import ClientDisconnectedError, Exchange
from tamago.server.forwarded import TrustedProxies
from tamago.server.thread_pool import ThreadPool
from tamago.server.wsgi_call import WsgiApp, WsgiCall
from tamago.server.wsgi_environ import Environ, make_environ
from tamago.types import WorkerContext

# Bodies up to here stay in memory.
_SPOOL = 512 * 1024

# Bytes a thread may hand to the loop before it has to wait for the client to take them.
_AHEAD = 256 * 1024


class WsgiHost:
    """A WSGI application, and what its requests share."""

    def __init__(self, app: WsgiApp, pool: ThreadPool, *, root_path: str = "", trusted_proxies: TrustedProxies | None = None) -> None:
        self.app = app
        self.pool = pool
        self._root_path = root_path.rstrip("/")
        self._trusted_proxies = trusted_proxies or None

    def exchange_type(self) -> type[WsgiExchange]:
        """Return the class of this application's exchanges."""
        return type("WsgiExchange", (WsgiExchange,), {"host": self})

    def environ(self, exchange: Exchange, body: IO[bytes], length: int) -> Environ:
        """Return the environ of a request."""
        connection, fields = exchange.connection, exchange.fields
        client, scheme = connection.client, connection.scheme
        proxies = self._trusted_proxies
        if proxies is not None and proxies.trusts(client[0] if client else None):
            host = proxies.client(fields)
            client = (host, 0) if host else client
            scheme = proxies.scheme(fields) or scheme
        return make_environ(
            method=exchange.method,
            target=exchange.target,
            version=exchange.version,
            fields=fields,
            root_path=self._root_path,
            scheme=scheme,
            client=client,
            server=connection.peer,
            body=body,
            length=length,
        )


class WsgiExchange(Exchange):
    """One request answered by a WSGI application."""

    host: WsgiHost

    def handle(self) -> Awaitable[object]:
        """Read the body, then call the application in a thread."""
        return self._handle()

    async def _handle(self) -> None:
        host = self.host
        with tempfile.SpooledTemporaryFile(_SPOOL) as body:
            while piece := await self.read():
                body.write(piece)
            length = body.tell()
            body.seek(0)
            call = WsgiCall(host.app, host.environ(self, body, length), _Relay(self))
            await host.pool.run(call.run)


class _Relay:
    """Carries an answer from the thread to the loop. Implements `wsgi_call.Sink`."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._loop = exchange.connection.server.loop
        self._room = threading.Condition()
        self._ahead = 0  # bytes given to the loop and not yet to the client
        self._head: tuple[int, list[tuple[bytes, bytes]]] | None = None

    def head(self, status: int, fields: list[tuple[bytes, bytes]]) -> None:
        """Keep the head for the first piece: one trip instead of two."""
        self._head = (status, fields)

    def data(self, data: bytes, *, more: bool) -> None:
        """Hand a piece to the loop; wait while too much of it is on its way."""
        if self._exchange.gone:
            raise ClientDisconnectedError("the client left before it had its answer")
        head, self._head = self._head, None
        with self._room:
            self._ahead += len(data)
        self._loop.call_soon_threadsafe(self._pass_on, head, data, more)
        if more:
            with self._room:
                self._room.wait_for(lambda: self._ahead < _AHEAD)

    def _pass_on(self, head: tuple[int, list[tuple[bytes, bytes]]] | None, data: bytes, more: bool) -> None:
        exchange = self._exchange
        try:
            if head is not None:
                exchange.start(*head)
            exchange.write(data, more=more)
        except Exception as error:  # noqa: BLE001 - a bad header or length: the application's fault, found on this side
            exchange.fail(error)
        if exchange.connection.write_paused and more and not exchange.gone:
            task = self._loop.create_task(exchange.drain())
            task.add_done_callback(lambda _: self._passed(len(data)))
        else:
            self._passed(len(data))

    def _passed(self, size: int) -> None:
        with self._room:
            self._ahead -= size
            self._room.notify_all()


class WsgiWorker:
    """Implements `tamago.types.WorkerRuntime` for a WSGI application."""

    def __init__(self, app: WsgiApp, context: WorkerContext) -> None:
        self._app = app
        self._context = context
        self._edge: Edge | None = None
        self._pool: ThreadPool | None = None

    async def start(self) -> None:
        """WSGI knows no start-up: importing was all."""

    async def serve(self, listeners: Sequence[socket.socket]) -> None:
        """Begin to accept."""
        context, options = self._context, self._context.options
        self._pool = ThreadPool(size=options.threads, all_busy=context.meter.threads_all_busy, loop=asyncio.get_running_loop())
        host = WsgiHost(self._app, self._pool, root_path=options.root_path, trusted_proxies=TrustedProxies(options.trusted_proxies))
        self._edge = Edge(context, host.exchange_type())
        self._edge.serve(listeners)

    async def ready(self) -> None:
        """WSGI has no word for it."""

    async def drain(self, *, closing: bool) -> None:
        """Stop accepting, finish, return when no connection is left."""
        if self._edge is not None:
            await self._edge.drain(closing=closing)

    async def stop(self) -> None:
        """WSGI knows no shutdown; the threads end."""
        if self._pool is not None:
            self._pool.close()
