"""How long until every worker serves, from the start of the command."""

from __future__ import annotations

import argparse
import asyncio
from collections import defaultdict

from benchmarks import procfs
from benchmarks.probing import first_requests
from benchmarks.results import Result, Row, note, summary, table
from benchmarks.running import MeasurementError, running
from benchmarks.servers import Server, chosen

APP = "realistic:app"
WITHIN = 120.0  # seconds


async def measure(server: Server, workers: int) -> Row:
    """Start once. `served` is the last worker's first request; `booted` the end of the last worker's start-up code, a lower bound.

    `cpu` is the CPU time all processes used until then: the figure a busy machine changes least.
    """
    async with running(server, app=APP, workers=workers, grace=2.0) as run:
        first = await first_requests(run, server, workers, within=WITHIN)
        cpu = procfs.cpu_seconds(run.tree())
        marks = run.marks()
        booted = sorted(marks[pid] for pid in first if pid in marks)
    return {
        "first": min(first.values()) - run.started,
        "served": max(first.values()) - run.started,
        "booted": booted[-1] - run.started,
        "cpu": cpu,
    }


def run(arguments: argparse.Namespace) -> Result:
    notes: list[str] = []
    servers = chosen(arguments.servers)
    samples: dict[tuple[str, int], list[Row]] = defaultdict(list)
    # One server after the other within each round, so that a busy spell of the machine does not fall on one of them.
    for _ in range(arguments.repeat):
        for workers in arguments.workers:
            for server in servers:
                try:
                    sample = asyncio.run(measure(server, workers))
                except MeasurementError as error:
                    note(notes, f"{server.name}, {workers} workers", error)
                    continue
                samples[server.name, workers].append(sample)
                print(f"{server.name}, {workers} workers: {sample['served']:.2f} s", flush=True)
    rows = [
        {"server": name, "workers": workers, **{key: summary(sample[key] for sample in taken) for key in taken[0]}}
        for (name, workers), taken in samples.items()
    ]
    return Result(name="start", rows=rows, notes=notes, settings={"app": APP, "repeat": arguments.repeat})


def render(result: Result) -> str:
    headings = ["server", "workers", "all serve (s)", "lowest", "highest", "last start-up ended (s)", "first answer (s)", "CPU time (s)"]
    rows = [
        [row["server"], row["workers"], row["served"]["median"], row["served"]["lowest"], row["served"]["highest"],
         row["booted"]["median"], row["first"]["median"], row["cpu"]["median"]]
        for row in sorted(result.rows, key=lambda row: row["workers"])
    ]  # fmt: skip
    return table(rows, headings)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 8, 32])
    parser.add_argument("--repeat", type=int, default=3)
