"""Requests a second and, more robust on a busy machine, CPU time a request over all of a server's processes."""

from __future__ import annotations

import argparse
import asyncio
from collections import defaultdict
from typing import Any

from benchmarks import procfs
from benchmarks.results import Result, Row, note, summary, table
from benchmarks.running import MeasurementError, running
from benchmarks.servers import Server, chosen
from benchmarks.wrk import load

CASES = {"plain ASGI": ("plain:app", "/"), "FastAPI": ("realistic:app", "/orders/7")}
WITHIN = 60.0
BOOT = 1.0  # seconds, for an application that leaves no marks


async def measure(server: Server, case: str, arguments: argparse.Namespace) -> Row:
    app, path = CASES[case]
    async with running(server, app=app, workers=arguments.workers, grace=5.0) as run:
        url = f"http://127.0.0.1:{run.port}{path}"
        if app.startswith("realistic"):
            await run.started_workers(arguments.workers, within=WITHIN)
        else:
            await asyncio.sleep(BOOT)
        await load(url, connections=arguments.connections, seconds=1)  # warm up
        family = run.tree()
        before = procfs.cpu_seconds(family)
        done = await load(url, connections=arguments.connections, seconds=arguments.seconds)
        cpu = procfs.cpu_seconds(family) - before
    if not done.requests:
        raise MeasurementError("no request was answered")
    return {"rate": done.requests / done.seconds, "cpu": 1e6 * cpu / done.requests, "p99": done.p99, "failed": done.failed}


def run(arguments: argparse.Namespace) -> Result:
    notes: list[str] = []
    samples: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for _ in range(arguments.repeat):
        for case in CASES:
            for server in (server for server in chosen(arguments.servers) if "--preload" not in server.name):
                try:
                    sample = asyncio.run(measure(server, case, arguments))
                except MeasurementError as error:
                    note(notes, f"{server.name}, {case}", error)
                    continue
                samples[server.name, case].append(sample)
                print(f"{server.name}, {case}: {sample['rate']:.0f}/s, {sample['cpu']:.1f} µs", flush=True)
    rows = [
        {"server": name, "case": case, "failed": sum(sample["failed"] for sample in taken),
         **{key: summary(sample[key] for sample in taken) for key in ("rate", "cpu", "p99")}}
        for (name, case), taken in samples.items()
    ]  # fmt: skip
    return Result(
        name="http",
        rows=rows,
        notes=notes,
        settings={key: getattr(arguments, key) for key in ("workers", "connections", "seconds", "repeat")},
    )


def render(result: Result) -> str:
    rows = [
        [row["case"], row["server"], row["cpu"]["median"], row["rate"]["median"], row["p99"]["median"], row["failed"]]
        for row in sorted(result.rows, key=lambda row: (row["case"], row["cpu"]["median"]))
    ]
    return table(rows, ["application", "server", "CPU a request (µs)", "requests/s", "p99 (ms)", "failed"])


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--repeat", type=int, default=3)
