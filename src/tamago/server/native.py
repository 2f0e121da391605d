"""Native handlers on the edge: an async function that answers an exchange, with nothing between it and the socket.

```python
async def app(exchange):
    exchange.respond(200, [(b"content-type", b"text/plain"), (b"content-length", b"5")], b"hello")
```
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable

from tamago.server.edge import Edge
from tamago.server.edge_worker import EdgeWorker
from tamago.server.exchange import Exchange
from tamago.types import WorkerContext

Handler = Callable[[Exchange], Awaitable[object]]


def exchange_type(handler: Handler) -> type[Exchange]:
    """Return the class of exchanges that this handler answers."""
    # A function becomes the method itself; any other callable needs a step in between, since it would not be bound.
    handle = handler if inspect.isfunction(handler) else lambda exchange: handler(exchange)  # noqa: PLW0108
    return type("NativeExchange", (Exchange,), {"handle": handle})


class NativeWorker(EdgeWorker):
    """The life of a worker with a native handler."""

    def __init__(self, handler: Handler, context: WorkerContext) -> None:
        super().__init__(context)
        self._handler = handler

    def open_edge(self) -> Edge:
        return Edge(self.context, exchange_type(self._handler))
