"""A client with a schedule, in a process of its own: `python -m benchmarks.steady_load PORT RATE` runs until end of input, prints JSON.

Requests start at fixed moments whether or not the earlier ones were answered, and a latency counts from the moment a request was
due, so a stall is seen in full. Every second request comes on a new connection; the rest share kept-alive ones.
"""

from __future__ import annotations

import asyncio
import gc
import itertools
import json
import sys
import time
from collections import Counter
from dataclasses import dataclass, field

from benchmarks.http_client import BadResponseError, Connection

PATH = "/orders/7"
TIMEOUT = 10.0  # seconds; a request that takes longer has failed


@dataclass(slots=True)
class Tally:
    latencies: list[float] = field(default_factory=list)
    failures: Counter[str] = field(default_factory=Counter)


class SteadyLoad:
    """Sends the requests and keeps the kept-alive connections."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._spare: list[Connection] = []
        self.tally = Tally()

    async def run(self, *, rate: float) -> None:
        loop = asyncio.get_running_loop()
        told_to_stop = asyncio.Event()
        loop.add_reader(sys.stdin, told_to_stop.set)
        began = loop.time()
        async with asyncio.TaskGroup() as requests:
            for number in itertools.count():
                if told_to_stop.is_set():
                    break
                due = began + number / rate
                await asyncio.sleep(max(0.0, due - loop.time()))
                requests.create_task(self._request(due, keep=number % 2 == 0))
        for connection in self._spare:
            connection.close()

    async def _request(self, due: float, *, keep: bool) -> None:
        try:
            async with asyncio.timeout(TIMEOUT):
                connection = await self._connection(keep=keep)
                try:
                    response = await connection.get(PATH)
                except BaseException:
                    connection.close()
                    raise
        except (OSError, BadResponseError) as error:  # a timeout is an OSError too
            self.tally.failures[f"{type(error).__name__}: {error}"] += 1
            return
        self.tally.latencies.append(time.monotonic() - due)
        if response.status != 200:
            self.tally.failures[f"status {response.status}"] += 1
        if keep and connection.reusable:
            self._spare.append(connection)
        else:
            connection.close()

    async def _connection(self, *, keep: bool) -> Connection:
        while keep and self._spare:
            connection = self._spare.pop()
            # A server may close an idle connection; only a request it already took and then dropped is a failure.
            if connection.reusable:
                return connection
            connection.close()
        return await Connection.open(self._port)


def main() -> None:
    port, rate = int(sys.argv[1]), float(sys.argv[2])
    gc.disable()  # a pause of ours must not look like one of the server's
    load = SteadyLoad(port)
    asyncio.run(load.run(rate=rate))
    ordered = sorted(load.tally.latencies)
    print(
        json.dumps(
            {
                "answered": len(ordered),
                "failed": load.tally.failures.total(),
                "failures": load.tally.failures,
                "p50": ordered[len(ordered) // 2] if ordered else None,
                "p99": ordered[len(ordered) * 99 // 100] if ordered else None,
                "worst": ordered[-1] if ordered else None,
            }
        )
    )


if __name__ == "__main__":
    main()
