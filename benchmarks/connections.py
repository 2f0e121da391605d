"""Memory a worker needs for each connection that is open and idle, and the CPU time thousands of them cost."""

from __future__ import annotations

import argparse
import asyncio
import resource
import socket
import time

from benchmarks import procfs
from benchmarks.http_client import BadResponseError
from benchmarks.results import Result, Row, note, table
from benchmarks.running import MeasurementError, Running, running
from benchmarks.servers import Server, chosen

APP = "realistic:app"
PATH = "/pid"
WARM_UP = 200  # connections before the first look, so that what is needed once is there
SETTLE = 3.0  # seconds from the last answer to the first look
WITHIN = 60.0

# Nobody may close what is idle before we have looked; each server has its own word for that.
PATIENCE = {
    "TAMAGO_KEEP_ALIVE": "600",
    "UVICORN_TIMEOUT_KEEP_ALIVE": "600",
    "GUNICORN_CMD_ARGS": "--keep-alive 600 --worker-connections 100000",
    "GRANIAN_BACKPRESSURE": "100000",
}


async def measure(server: Server, connections: int, seconds: float) -> Row:
    async with running(server, app=APP, workers=1, grace=5.0, environment=PATIENCE) as run:
        (worker,) = await run.started_workers(1, within=WITHIN)
        process = procfs.identify(worker)
        if process is None:
            raise MeasurementError("the worker ended")
        await asyncio.sleep(SETTLE)  # some listen only after their start-up
        opened = await _open(run, WARM_UP)
        await asyncio.sleep(SETTLE)
        before = procfs.private([process])
        opened += await _open(run, connections)
        try:
            await asyncio.sleep(SETTLE)
            after = procfs.private([process])
            began, used = time.monotonic(), procfs.cpu_seconds([process])
            await asyncio.sleep(seconds)
            used, elapsed = procfs.cpu_seconds([process]) - used, time.monotonic() - began
            run.check()
            closed = sum(_is_closed(sock) for sock in opened)
        finally:
            for sock in opened:
                sock.close()
    if closed:
        raise MeasurementError(f"{closed} connections were closed while they were counted")
    return {
        "server": server.name,
        "connections": connections,
        "kib": (after - before) / connections / 1024,
        "percent": 100 * used / elapsed,
    }


async def _open(run: Running, count: int) -> list[socket.socket]:
    """Open so many connections, a few at a time, and have each answered once. Plain sockets: what we measure is the other end."""
    loop = asyncio.get_running_loop()
    opened = []
    for _ in range(count):
        sock = socket.socket()
        sock.setblocking(False)
        await loop.sock_connect(sock, ("127.0.0.1", run.port))
        await loop.sock_sendall(sock, f"GET {PATH} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        if not (await loop.sock_recv(sock, 65536)).startswith(b"HTTP/1.1 200"):
            raise BadResponseError("no answer")
        opened.append(sock)
    return opened


def _is_closed(sock: socket.socket) -> bool:
    try:
        return not sock.recv(1)
    except BlockingIOError:
        return False
    except OSError:
        return True


def _raise_limit(connections: int) -> int:
    """Allow so many descriptors, here and in the servers, which inherit it; return how many connections that leaves."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return min(connections, hard - WARM_UP - 200)


def run(arguments: argparse.Namespace) -> Result:
    notes: list[str] = []
    rows = []
    connections = _raise_limit(arguments.connections)
    for server in chosen(arguments.servers):
        try:
            row = asyncio.run(measure(server, connections, arguments.seconds))
        except (MeasurementError, BadResponseError, OSError, ValueError) as error:
            note(notes, server.name, error)
            continue
        rows.append(row)
        print(f"{server.name}: {row['kib']:.2f} KiB a connection, {row['percent']:.2f} %", flush=True)
    return Result(name="connections", rows=rows, notes=notes, settings={"app": APP, "workers": 1, "seconds": arguments.seconds})


def render(result: Result) -> str:
    rows = [[row["server"], row["connections"], row["kib"], row["percent"]] for row in result.rows]
    return table(rows, ["server", "connections", "KiB a connection", "% of one core"])


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--connections", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=20.0)
