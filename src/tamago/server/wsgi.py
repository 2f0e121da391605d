"""WSGI applications on the edge: the body is awaited in the loop, the application runs in a thread, its answer comes back in order.

A thread is taken only once the whole request is there, so that slow clients cost no thread.
"""

from __future__ import annotations

import asyncio
import contextvars
import tempfile
import threading
from collections.abc import Awaitable
from io import BytesIO
from typing import IO, TYPE_CHECKING, ClassVar

from tamago.server.edge import Edge
from tamago.server.edge_worker import EdgeWorker
from tamago.server.exchange import ClientDisconnectedError, Exchange
from tamago.server.forwarded import TrustedProxies
from tamago.server.response_head import ResponseHead
from tamago.server.wsgi_call import WsgiApp, WsgiCall
from tamago.server.wsgi_environ import Environ, add_connection, add_request, environ_template
from tamago.thread_pool import ThreadPool
from tamago.types import WorkerContext

if TYPE_CHECKING:
    from tamago.server.http_server import HttpServer

# Bodies up to here stay in memory; what is larger waits in a file (of TMPDIR, without a name).
_SPOOL = 512 * 1024

# Bytes a thread may hand to the loop before it has to wait for the client to take them.
_AHEAD = 256 * 1024


class WsgiHost:
    """A WSGI application, and what its requests share."""

    def __init__(self, app: WsgiApp, pool: ThreadPool, *, root_path: str = "", trusted_proxies: TrustedProxies | None = None) -> None:
        self.app = app
        self.pool = pool
        self._template = environ_template(root_path.rstrip("/"))
        self._trusted_proxies = trusted_proxies or None

    def exchange_type(self) -> type[WsgiExchange]:
        """Return the class of this application's exchanges."""
        return type("WsgiExchange", (WsgiExchange,), {"host": self})

    def environ(self, exchange: Exchange) -> Environ:
        """Return the environ of a request; its input is missing yet."""
        connection, fields = exchange.connection, exchange.fields
        client, scheme = connection.client, connection.scheme
        proxies = self._trusted_proxies
        if proxies is not None and proxies.trusts(client[0] if client else None):
            host = proxies.client(fields)
            client = (host, 0) if host else client
            scheme = proxies.scheme(fields) or scheme
        environ = self._template.copy()
        add_request(environ, exchange.method, exchange.target, exchange.version, fields)
        add_connection(environ, scheme, client, connection.peer)
        return environ


class WsgiExchange(Exchange):
    """One request answered by a WSGI application."""

    host: ClassVar[WsgiHost]
    _input: IO[bytes] | None = None  # the whole body; None: there is none
    _length: int = 0
    _stream: _Stream | None = None

    def launch(self, server: HttpServer) -> None:
        """Go to a thread at once if there is no body to wait for; that spares the task."""
        server.running.add(self)
        if self.body is not None:
            super().launch(server)
        else:
            self.host.pool.submit(self._call, server.context.copy(), self._ended)

    def handle(self) -> Awaitable[object]:
        """Await the body."""
        return self._receive()

    def over(self, error: BaseException | None) -> None:
        """Go on in a thread once the body is there; the request is over when that is."""
        if error is not None:
            self._ended(error)
        else:
            self.host.pool.submit(self._call, contextvars.copy_context(), self._ended)

    def _ended(self, error: BaseException | None) -> None:
        self.connection.server.running.discard(self)
        super().over(error)

    async def _receive(self) -> None:
        body, first = self.body, await self.read()
        if body is None or body.complete:
            self._input, self._length = BytesIO(first), len(first)
            return
        spool = self._input = tempfile.SpooledTemporaryFile(_SPOOL)  # noqa: SIM115 - closed in `_call`
        spool.write(first)
        while piece := await self.read():
            spool.write(piece)
        self._length = spool.tell()
        spool.seek(0)

    # ── in a thread ──────────────────────────────────────────────────────────────────────────────────────────────────

    def _call(self) -> None:
        environ = self.host.environ(self)
        body = self._input
        if body is None:
            environ["wsgi.input"] = BytesIO()
            WsgiCall(self.host.app, environ, self).run()
            return
        environ["wsgi.input"] = body
        # Also that of a chunked body: frameworks take its absence for an empty body.
        environ["CONTENT_LENGTH"] = str(self._length)
        with body:
            WsgiCall(self.host.app, environ, self).run()

    def take(self, head: ResponseHead | None, data: bytes, more: bool) -> None:
        """Hand a piece to the loop; wait while too much of it is on its way. Implements `wsgi_call.Sink`."""
        if self.gone:
            raise ClientDisconnectedError("the client left before it had its answer")
        if not more and self._stream is None:
            self.host.pool.tell_loop(self._pass_on, head, data, more)
            return
        if self._stream is None:
            self._stream = _Stream()
        self._stream.give(len(data))
        self.host.pool.tell_loop(self._pass_on, head, data, more)
        if more:
            self._stream.wait()

    # ── in the loop ──────────────────────────────────────────────────────────────────────────────────────────────────

    def _pass_on(self, head: ResponseHead | None, data: bytes, more: bool) -> None:
        try:
            if head is not None and not self.gone:
                self._head, self.status = head, head[0]
            self.write(data, more=more)
        except Exception as error:  # noqa: BLE001 - such as a wrong length: the application's fault, found on this side
            self.fail(error)
        stream = self._stream
        if stream is None:
            return
        if more and not self.gone and self.connection.write_paused:
            task = self.connection.server.loop.create_task(self.drain())
            task.add_done_callback(lambda _: stream.taken(len(data)))
        else:
            stream.taken(len(data))


class _Stream:
    """Counts how much of a streamed answer is on its way from the thread to the client."""

    def __init__(self) -> None:
        self._room = threading.Condition()
        self._ahead = 0

    def give(self, size: int) -> None:
        with self._room:
            self._ahead += size

    def taken(self, size: int) -> None:
        with self._room:
            self._ahead -= size
            self._room.notify_all()

    def wait(self) -> None:
        """Return when there is room for more."""
        with self._room:
            self._room.wait_for(lambda: self._ahead < _AHEAD)


class WsgiWorker(EdgeWorker):
    """The life of a worker with a WSGI application, which knows no start-up and no shutdown."""

    def __init__(self, app: WsgiApp, context: WorkerContext) -> None:
        super().__init__(context)
        self._app = app
        self._pool: ThreadPool | None = None

    def open_edge(self) -> Edge:
        context, options = self.context, self.context.options
        self._pool = ThreadPool(size=options.threads, all_busy=context.meter.threads_all_busy, loop=asyncio.get_running_loop())
        host = WsgiHost(self._app, self._pool, root_path=options.root_path, trusted_proxies=TrustedProxies(options.trusted_proxies))
        return Edge(context, host.exchange_type())

    async def stop(self) -> None:
        """The threads end."""
        if self._pool is not None:
            self._pool.close()
