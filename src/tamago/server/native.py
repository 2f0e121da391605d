"""Native handlers on the edge: an async function that answers an exchange, with nothing between it and the socket.

```python
async def app(exchange):
    exchange.respond(200, [(b"content-type", b"text/plain"), (b"content-length", b"5")], b"hello")
```
"""

from __future__ import annotations

import inspect
import socket
from collections.abc import Awaitable, Callable, Sequence

from tamago.server.edge import Edge
from tamago.server.exchange import Exchange
from tamago.types import WorkerContext

Handler = Callable[[Exchange], Awaitable[object]]


def exchange_type(handler: Handler) -> type[Exchange]:
    """Return the class of exchanges that this handler answers."""
    # A function becomes the method itself; any other callable needs a step in between, since it would not be bound.
    handle = handler if inspect.isfunction(handler) else lambda exchange: handler(exchange)  # noqa: PLW0108
    return type("NativeExchange", (Exchange,), {"handle": handle})


class NativeWorker:
    """Implements `tamago.types.WorkerRuntime` for a native handler."""

    def __init__(self, handler: Handler, context: WorkerContext) -> None:
        self._handler = handler
        self._context = context
        self._edge: Edge | None = None

    async def start(self) -> None:
        """A handler has no start-up: importing was all."""

    async def serve(self, listeners: Sequence[socket.socket]) -> None:
        """Begin to accept."""
        self._edge = Edge(self._context, exchange_type(self._handler))
        self._edge.serve(listeners)

    async def ready(self) -> None:
        """A handler asks `tamago.ready`."""

    async def drain(self, *, closing: bool) -> None:
        """Stop accepting, finish, return when no connection is left."""
        if self._edge is not None:
            await self._edge.drain(closing=closing)

    async def stop(self) -> None:
        """A handler has no shutdown."""
