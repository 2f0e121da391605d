"""Requests of all kinds while workers are swapped in all ways there are: none may be lost, cut short or answered twice."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from benchmarks.paths import ROOT, VENV
from benchmarks.results import Result, Row, table
from benchmarks.running import MeasurementError, Running, running
from benchmarks.servers import SERVERS, TAMAGO, Job, Server

APP = "drained:app"
WITHIN = 60.0  # seconds for a start or a swap
MOST = 600.0  # seconds for all of it
SHOWN = 20  # losses told one by one


def _server(arguments: argparse.Namespace) -> Server:
    plain = SERVERS[TAMAGO]

    def command(job: Job) -> list[str]:
        # Recycling: each worker is replaced after so many requests as well.
        return [*plain.command(job), "--max-requests", str(arguments.max_requests), *arguments.flags]

    return replace(plain, command=command)


@asynccontextmanager
async def _traffic(run: Running, arguments: argparse.Namespace) -> AsyncIterator[tuple[dict[str, Any], asyncio.Task[bytes]]]:
    """Have traffic while the block runs; the dict holds the client's report afterwards, the task ends when enough was answered."""
    tls = ["--ca", arguments.ca] if arguments.ca else []
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.traffic", str(run.port), "--scale", str(arguments.scale),
        "--enough", str(arguments.requests), *tls, cwd=ROOT,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    report: dict[str, Any] = {}
    enough = asyncio.create_task(process.stdout.readline())
    try:
        yield report, enough
    finally:
        if not enough.done():
            enough.cancel()
        output, _ = await process.communicate(b"")  # end of input is what it waits for
    report.update(json.loads(output))


async def _swap(run: Running, *command: str) -> None:
    """Run a command of tamago's about the cluster; it returns when the new workers serve."""
    process = await asyncio.create_subprocess_exec(
        VENV / "bin" / "tamago", *command, "--title", f"bench-{run.port}",
        env={**os.environ, "TAMAGO_HOME": str(run.marks_file.parent)}, stdout=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    if await asyncio.wait_for(process.wait(), WITHIN):
        raise MeasurementError(f"tamago {' '.join(command)} failed: {run.log_file.read_text()[-2000:]}")


async def _swap_all(run: Running, arguments: argparse.Namespace, enough: asyncio.Task[bytes]) -> int:
    """Kick and reload until so many swaps were asked for and enough requests answered; return how many workers came to be."""
    began, asked = time.monotonic(), 0
    while asked < arguments.swaps or not enough.done():
        run.check()
        if time.monotonic() > began + MOST:
            raise MeasurementError(f"{arguments.requests} requests were not answered within {MOST:.0f} s")
        if asked % 5 == 4:
            await _swap(run, "reload")
        else:
            await _swap(run, "kick", str(1 + asked % arguments.workers))
        asked += 1
        await asyncio.sleep(max(0.0, began + asked * arguments.seconds / arguments.swaps - time.monotonic()))
    return len(run.marks())


async def measure(arguments: argparse.Namespace) -> tuple[dict[str, Any], int, dict[str, int]]:
    """Return the client's report, how many workers there were, and per number how often that request reached the application."""
    seen: list[str] = []
    async with running(_server(arguments), app=APP, workers=arguments.workers) as run:
        await run.started_workers(arguments.workers, within=WITHIN)
        async with _traffic(run, arguments) as (report, enough):
            workers = await _swap_all(run, arguments, enough)
        await _swap(run, "stop")  # each worker says at its end what it has seen
        seen = run.seen_file.read_text().split("\n")
    return report, workers, Counter(number for line in seen for number in line.split()[1:])


def run(arguments: argparse.Namespace) -> Result:
    report, workers, reached = asyncio.run(measure(arguments))
    for loss in report["lost"][:SHOWN]:
        print(loss, flush=True)
    kinds = Counter(loss.partition(":")[0] for loss in report["lost"])
    rows: list[Row] = [
        {"kind": kind, "answered": count, "lost": kinds[kind], "again": report["again"].get(kind, 0)}
        for kind, count in report["answered"].items()
    ]
    answered = {str(number) for number in report["numbers"]}
    settings: Row = {key: getattr(arguments, key) for key in ("workers", "swaps", "seconds", "requests", "max_requests")}
    settings |= {
        "workers in all": workers,
        "answered": sum(row["answered"] for row in rows),
        "lost": len(report["lost"]),
        "answered twice": sum(count > 1 for count in reached.values()),
        "answered and never seen": len(answered - reached.keys()),
    }
    return Result(name="drain", rows=rows, notes=[], settings=settings)


def problem(result: Result) -> str | None:
    """Return what must not be, if it is."""
    wrong = {what: result.settings[what] for what in ("lost", "answered twice", "answered and never seen") if result.settings[what]}
    if wrong:
        return ", ".join(f"{count} {what}" for what, count in wrong.items())
    return None if result.settings["answered"] else "nothing was answered"


def render(result: Result) -> str:
    rows = [[row["kind"], row["answered"], row["lost"], row["again"]] for row in result.rows]
    figures = ", ".join(f"{value:,} {what}" for what, value in result.settings.items() if what in {"workers in all", "answered", "lost"})
    return f"{table(rows, ['requests', 'answered', 'lost', 'told to ask again'])}\n\n{figures}."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--workers", type=int, default=3)
    parser.add_argument("--swaps", type=int, default=20, help="kicks, and a reload of all workers for every fifth")
    parser.add_argument("--seconds", type=float, default=60.0, help="over which the swaps are spread")
    parser.add_argument("--requests", type=int, default=100_000, help="to be answered at least, websocket messages not counted")
    parser.add_argument("--max-requests", type=int, default=10_000)
    parser.add_argument("--scale", type=int, default=1, help="times as many clients")
    parser.add_argument("--ca", help="certificate to trust: the traffic is TLS (pass the server its own with --flags)")
    parser.add_argument("--flags", nargs="*", default=[], help="more flags for tamago")
