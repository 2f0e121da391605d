"""Finds out when each worker of a server began to serve, without knowing anything about the server.

A new connection is opened every few milliseconds, and each request blocks its whole worker for a moment. Workers that are known
already are kept busy that way, so a worker that joins gets the next connection at once, however unevenly idle workers would share
them. The worker itself says when its first request arrived.
"""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import suppress

from benchmarks.http_client import BadResponseError, Connection
from benchmarks.running import MeasurementError, Running
from benchmarks.servers import Server

EVERY = 0.005  # seconds between connections
HOLD = 0.1  # seconds a request blocks its worker
# Where a blocked worker goes on accepting, blocking it only hides its neighbours: ask quickly and leave it to chance instead.
EVERY_UNBLOCKED = 0.002


async def first_requests(running: Running, server: Server, workers: int, *, within: float) -> dict[int, float]:
    """Return pid → moment of the first request, once `workers` different processes have answered."""
    hold, every = (0.0, EVERY_UNBLOCKED) if server.accepts_while_blocked or workers == 1 else (HOLD, EVERY)
    first: dict[int, float] = {}
    complete = asyncio.Event()

    async def ask() -> None:
        with suppress(OSError, BadResponseError, asyncio.CancelledError):
            connection = await Connection.open(running.port)
            try:
                answer = json.loads((await connection.get(f"/pid?hold={hold}")).body)
            finally:
                connection.close()
            first[answer["pid"]] = min(answer["at"], first.get(answer["pid"], answer["at"]))
            if len(first) >= workers:
                complete.set()

    deadline = time.monotonic() + within
    asking: set[asyncio.Task[None]] = set()
    try:
        while not complete.is_set():
            running.check()
            if time.monotonic() > deadline:
                raise MeasurementError(f"{len(first)} of {workers} workers answered within {within:.0f} s")
            task = asyncio.create_task(ask())
            asking.add(task)
            task.add_done_callback(asking.discard)
            await asyncio.sleep(every)
    finally:
        for task in asking:
            task.cancel()
        await asyncio.gather(*asking, return_exceptions=True)
    return first
