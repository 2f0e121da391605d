"""Proportional memory (PSS) of the whole tree of processes, right after the start and after thousands of requests a worker."""

from __future__ import annotations

import argparse
import asyncio
import statistics

from benchmarks import procfs
from benchmarks.results import Result, Row, note, table
from benchmarks.running import MeasurementError, Running, running
from benchmarks.servers import Server, chosen
from benchmarks.wrk import load

APP = "realistic:app"
APP_WITH_CLIENTS = "realistic:app_with_clients"
PATH = "/orders/7"
SETTLE = 1.5  # seconds from the last worker's start-up to the look at it
WITHIN = 120.0  # seconds
MIB = 1024 * 1024


async def measure(server: Server, app: str, workers: int, requests: int) -> Row:
    """Start once, look, serve `requests` a worker, look again. Figures in MiB."""
    async with running(server, app=app, workers=workers, grace=5.0) as run:
        marks = await run.started_workers(workers, within=WITHIN)
        await asyncio.sleep(SETTLE)
        row = {
            "server": server.name,
            "app": app,
            "workers": workers,
            "pss": procfs.pss(run.tree()) / MIB,
            "private_per_worker": _private_per_worker(run, marks),
            "master_rss": _rss_of(run),
        }
        if requests:
            row["served"], row["failed"] = await _serve(run, workers, requests)
            row["pss_served"] = procfs.pss(run.tree()) / MIB
            row["private_per_worker_served"] = _private_per_worker(run, run.marks())
    return row


async def _serve(run: Running, workers: int, requests: int) -> tuple[int, int]:
    served = failed = 0
    while served < requests * workers:
        done = await load(f"http://127.0.0.1:{run.port}{PATH}", connections=workers * 4, seconds=2)
        if not done.requests:
            raise MeasurementError("no request was answered")
        served, failed = served + done.requests, failed + done.failed
    return served, failed


def _private_per_worker(run: Running, marks: dict[int, float]) -> float:
    return statistics.mean(procfs.private([process]) / MIB for process in run.tree() if process.pid in marks)


def _rss_of(run: Running) -> float:
    process = procfs.identify(run.pid)
    return procfs.rss(process) / MIB if process else 0.0


def run(arguments: argparse.Namespace) -> Result:
    notes: list[str] = []
    rows = []
    # What each worker opens for itself costs every server the same, so one size shows it.
    cases = [(APP, workers) for workers in arguments.workers] + [(APP_WITH_CLIENTS, arguments.with_clients)] * bool(arguments.with_clients)
    for app, workers in cases:
        for server in chosen(arguments.servers):
            try:
                row = asyncio.run(measure(server, app, workers, arguments.requests if app == APP else 0))
            except MeasurementError as error:
                note(notes, f"{server.name}, {app}, {workers} workers", error)
                continue
            rows.append(row)
            print(f"{server.name}, {app}, {workers} workers: {row['pss']:.0f} MiB", flush=True)
    return Result(name="memory", rows=rows, notes=notes, settings={"path": PATH, "requests_per_worker": arguments.requests})


def render(result: Result) -> str:
    headings = [
        "application",
        "server",
        "workers",
        "tree (MiB)",
        "private a worker (MiB)",
        "master (MiB)",
        "tree, served (MiB)",
        "private a worker, served (MiB)",
    ]
    keys = ["app", "server", "workers", "pss", "private_per_worker", "master_rss", "pss_served", "private_per_worker_served"]
    return table([[row.get(key) for key in keys] for row in result.rows], headings)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--workers", type=int, nargs="+", default=[2, 8, 32])
    parser.add_argument("--requests", type=int, default=10_000, help="requests a worker before the second look; 0: no second look")
    parser.add_argument(
        "--with-clients", type=int, default=8, metavar="N", help="also N workers that each open a database and an HTTP client"
    )
