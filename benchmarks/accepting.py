"""What sharing connections out evenly costs where each request has a connection of its own, beside workers that just accept."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import socket
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, cast

import uvloop

from benchmarks import procfs, wrk
from benchmarks.apps.plain import app
from benchmarks.results import Result, Row, summary, table
from benchmarks.running import MeasurementError
from tamago.cluster.accept_pause import AcceptPause
from tamago.cluster.scoreboard import Scoreboard
from tamago.server.asgi import AsgiApp
from tamago.server.worker import AsgiWorker
from tamago.types import Identity, Role, ServerOptions, WorkerContext

PLAIN, FAIR = "plain accept", "fair accept"


def _serve(listener: socket.socket, board_fd: int, rows: int, row: int, way: str) -> None:
    """Be one worker, until SIGTERM."""

    async def main() -> None:
        board = Scoreboard.open(os.dup(board_fd), rows)
        own = board.row(row)
        own.pid = os.getpid()
        pause: Callable[[], float] = AcceptPause(board, row) if way == FAIR else lambda: 0.0
        identity = Identity(role=Role.WORKER, slot=row + 1, generation=1, title="bench", pid=os.getpid())
        runtime = AsgiWorker(cast("AsgiApp", app), WorkerContext(identity=identity, options=ServerOptions(), meter=own, accept_pause=pause))
        await runtime.start()
        await runtime.serve([listener])
        own.accepting = True
        while True:
            own.beat(time.monotonic_ns())
            await asyncio.sleep(1)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())


@contextmanager
def _workers(count: int, way: str) -> Iterator[tuple[int, list[procfs.Process]]]:
    """Have so many workers accept from one socket; give its port and them."""
    board = Scoreboard.create(count)
    pids: list[int] = []
    with socket.create_server(("127.0.0.1", 0), backlog=2048) as listener:
        listener.setblocking(False)
        try:
            for number in range(count):
                row = board.claim(peer=number + 1, slot=number + 1)
                if (pid := os.fork()) == 0:
                    signal.signal(signal.SIGTERM, signal.SIG_DFL)
                    _serve(listener, board.fd, count, row, way)
                    os._exit(0)
                pids.append(pid)
            yield listener.getsockname()[1], [process for pid in pids if (process := procfs.identify(pid)) is not None]
        finally:
            for pid in pids:
                os.kill(pid, signal.SIGTERM)
                os.waitpid(pid, 0)
            board.close()


async def _measure(port: int, workers: list[procfs.Process], arguments: argparse.Namespace) -> Row:
    url = f"http://127.0.0.1:{port}/"
    await wrk.load(url, connections=arguments.connections, seconds=1, close=True)  # warm up
    before = procfs.cpu_seconds(workers)
    done = await wrk.load(url, connections=arguments.connections, seconds=arguments.seconds, close=True)
    cpu = procfs.cpu_seconds(workers) - before
    if not done.requests or done.failed:
        raise MeasurementError(f"{done.failed} of {done.requests} requests failed")
    return {"rate": done.requests / done.seconds, "cpu": 1e6 * cpu / done.requests, "p99": done.p99}


def run(arguments: argparse.Namespace) -> Result:
    samples: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for number in range(arguments.repeat):
        # Turn about, so that neither is always the one after the other.
        for way in (PLAIN, FAIR) if number % 2 else (FAIR, PLAIN):
            with _workers(arguments.workers, way) as (port, workers):
                sample = asyncio.run(_measure(port, workers, arguments))
            samples[way].append(sample)
            print(f"{way}: {sample['cpu']:.1f} µs, {sample['rate']:.0f}/s", flush=True)
    rows = [{"way": way, **{key: summary(s[key] for s in samples[way]) for key in ("cpu", "rate", "p99")}} for way in (PLAIN, FAIR)]
    settings = {key: getattr(arguments, key) for key in ("workers", "connections", "seconds", "repeat")}
    return Result(name="accept", rows=rows, notes=[], settings=settings)


def render(result: Result) -> str:
    rows = [[row["way"], row["cpu"]["median"], row["rate"]["median"], row["p99"]["median"]] for row in result.rows]
    return table(rows, ["workers", "CPU a connection (µs)", "connections/s", "p99 (ms)"])


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--connections", type=int, default=32, help="at once; each carries one request")
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--repeat", type=int, default=4)
