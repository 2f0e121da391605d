"""CPU time a server uses while nobody asks it anything."""

from __future__ import annotations

import argparse
import asyncio
import time

from benchmarks import procfs
from benchmarks.results import Result, Row, note, table
from benchmarks.running import MeasurementError, running
from benchmarks.servers import Server, chosen

APP = "realistic:app"
SETTLE = 5.0  # seconds from the last worker's start-up to the first look
WITHIN = 120.0


async def measure(server: Server, workers: int, seconds: float) -> Row:
    async with running(server, app=APP, workers=workers, grace=5.0) as run:
        await run.started_workers(workers, within=WITHIN)
        await asyncio.sleep(SETTLE)
        family = run.tree()
        began, before = time.monotonic(), procfs.cpu_seconds(family)
        await asyncio.sleep(seconds)
        used, elapsed = procfs.cpu_seconds(family) - before, time.monotonic() - began
        run.check()
    return {"server": server.name, "workers": workers, "processes": len(family), "percent": 100 * used / elapsed}


def run(arguments: argparse.Namespace) -> Result:
    notes: list[str] = []
    rows = []
    for server in chosen(arguments.servers):
        try:
            row = asyncio.run(measure(server, arguments.workers, arguments.seconds))
        except MeasurementError as error:
            note(notes, server.name, error)
            continue
        rows.append(row)
        print(f"{server.name}: {row['percent']:.3f} %", flush=True)
    return Result(name="idle", rows=rows, notes=notes, settings={"app": APP, "seconds": arguments.seconds})


def render(result: Result) -> str:
    rows = [[row["server"], row["workers"], row["processes"], row["percent"]] for row in result.rows]
    return table(rows, ["server", "workers", "processes", "% of one core"])


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=30.0)
