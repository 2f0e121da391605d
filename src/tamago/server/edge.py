"""The HTTP edge of one worker: listening sockets in, answered requests out.

Joins accepting and serving. Knows no application: whoever makes exchanges can use it.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from typing import Any

from tamago.server.accept import Acceptor
from tamago.server.exchange import Exchange
from tamago.server.http1 import Connection
from tamago.server.http_server import HttpServer
from tamago.server.recording import Recording
from tamago.server.tunnel import TunnelExchange
from tamago.types import WorkerContext


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
        self._connecting: set[asyncio.Task[object]] = set()

    def serve(self, listeners: Sequence[socket.socket]) -> None:
        """Begin to accept."""
        for listener in listeners:
            acceptor = Acceptor(listener, connect=self.connect, accept_pause=self._context.accept_pause, loop=self._loop)
            self._acceptors.append(acceptor)
            acceptor.start()

    def connect(self, sock: socket.socket, address: Any) -> None:
        """Serve an accepted socket; `address` is the client's, as `accept` said it."""
        server = self.server
        connecting = self._loop.connect_accepted_socket(lambda: Connection(server, sock, address), sock)
        task = self._loop.create_task(connecting)
        self._connecting.add(task)
        server.accepted()
        task.add_done_callback(self._connected)

    def _connected(self, task: asyncio.Task[object]) -> None:
        self._connecting.discard(task)
        # An error means that the client left before we began; nobody has to know.
        self.server.connected(failed=task.cancelled() or task.exception() is not None)

    async def drain(self, *, closing: bool) -> None:
        """Stop accepting, finish, return when no connection is left."""
        for acceptor in self._acceptors:
            if closing:
                acceptor.stop_when_empty()
            else:
                acceptor.stop()
        await self.server.drain()
        self._recording.close()
