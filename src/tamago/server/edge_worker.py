"""What the lives of all workers have in common: an edge that opens, serves and drains."""

from __future__ import annotations

import socket
from collections.abc import Sequence

from tamago.server.edge import Edge
from tamago.types import WorkerContext


class EdgeWorker:
    """Implements `tamago.types.WorkerRuntime`. A subclass says in `open_edge` who answers, and adds what its kind of application needs."""

    def __init__(self, context: WorkerContext) -> None:
        self.context = context
        self._edge: Edge | None = None

    def open_edge(self) -> Edge:
        """Return the edge; called inside the loop."""
        raise NotImplementedError

    async def start(self) -> None:
        """Importing was all."""

    phases: Sequence[tuple[str, float]] = ()

    def progress(self) -> str:
        """Nothing is known of what a hosted application does."""
        return ""

    async def serve(self, listeners: Sequence[socket.socket]) -> None:
        """Begin to accept."""
        self._edge = self.open_edge()
        self._edge.serve(listeners)

    async def ready(self) -> None:
        """No interface has a word for the whole cluster being ready; applications ask `tamago.ready`."""

    async def drain(self, *, closing: bool) -> None:
        """Stop accepting, finish, return when no connection is left."""
        if self._edge is not None:
            await self._edge.drain(closing=closing)

    async def stop(self) -> None:
        """There is nothing to shut down."""
