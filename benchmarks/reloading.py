"""A reload under steady load: what fails, how much slower the slowest answer gets, and how long the new generation takes."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import sys
import time
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from benchmarks import procfs
from benchmarks.paths import ROOT
from benchmarks.results import Result, Row, note, summary, table
from benchmarks.running import POLL, MeasurementError, Running, running
from benchmarks.servers import Server, chosen

APP = "realistic:app"
WITHIN = 90.0  # seconds for a start or a reload
AROUND = 1.0  # seconds of load before the signal and after the turnover
SETTLE = 1.0  # seconds of quiet after a start


@dataclass(frozen=True, slots=True)
class Turnover:
    """Seconds from the signal until as many new workers had started up, and until no old one lived."""

    new_up: float
    old_gone: float


@asynccontextmanager
async def _load(running: Running, rate: float) -> AsyncIterator[dict[str, Any]]:
    """Load the server while the block runs; the dict holds the client's report afterwards."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.steady_load", str(running.port), str(rate), cwd=ROOT,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    report: dict[str, Any] = {}
    try:
        yield report
    finally:
        output, _ = await process.communicate(b"")  # end of input is what it waits for
    report.update(json.loads(output))


async def _turnover(running: Running, workers: int) -> Turnover:
    """Send SIGHUP and watch the generations change."""
    old = [process for process in running.tree() if process.pid in running.marks()]
    began = time.monotonic()
    os.kill(running.pid, signal.SIGHUP)
    gone = 0.0
    while time.monotonic() < began + WITHIN:
        running.check()
        if not gone and not any(procfs.is_alive(process) for process in old):
            gone = time.monotonic() - began
        new = sorted(at for pid, at in running.marks().items() if at > began and pid not in {process.pid for process in old})
        if gone and len(new) >= workers:
            return Turnover(new[workers - 1] - began, gone)
        await asyncio.sleep(POLL)
    raise MeasurementError(f"no whole new generation within {WITHIN:.0f} s")


async def measure(server: Server, arguments: argparse.Namespace) -> Row:
    """Start, load for a while undisturbed, then load for as long as a reload takes."""
    async with running(server, app=APP, workers=arguments.workers, grace=5.0) as run:
        marks = await run.started_workers(arguments.workers, within=WITHIN)
        boot = max(marks.values()) - run.started
        await asyncio.sleep(SETTLE)
        async with _load(run, arguments.rate) as quiet:
            await asyncio.sleep(arguments.seconds)
        async with _load(run, arguments.rate) as disturbed:
            await asyncio.sleep(AROUND)
            turnover = await _turnover(run, arguments.workers)
            await asyncio.sleep(AROUND)
    return {"boot": boot, "new_up": turnover.new_up, "old_gone": turnover.old_gone, "quiet": quiet, "disturbed": disturbed}


def run(arguments: argparse.Namespace) -> Result:
    notes: list[str] = []
    samples: dict[str, list[Row]] = defaultdict(list)
    for _ in range(arguments.repeat):
        for server in (server for server in chosen(arguments.servers) if server.reloads):
            try:
                sample = asyncio.run(measure(server, arguments))
            except MeasurementError as error:
                note(notes, server.name, error)
                continue
            samples[server.name].append(sample)
            failed, worst = sample["disturbed"]["failed"], sample["disturbed"]["worst"]
            print(f"{server.name}: {failed} failed, worst {1000 * worst:.0f} ms, {sample['old_gone']:.1f} s", flush=True)
    rows = [_row(name, taken) for name, taken in samples.items()]
    return Result(
        name="reload", rows=rows, notes=notes, settings={key: getattr(arguments, key) for key in ("workers", "rate", "seconds", "repeat")}
    )


def _row(name: str, taken: list[Row]) -> Row:
    failures: dict[str, int] = defaultdict(int)
    for sample in taken:
        for kind, count in sample["disturbed"]["failures"].items():
            failures[kind] += count
    return {
        "server": name,
        "failed": sum(sample["disturbed"]["failed"] for sample in taken),
        "answered": sum(sample["disturbed"]["answered"] for sample in taken),
        "failures": failures,
        "worst_quiet": summary(1000 * sample["quiet"]["worst"] for sample in taken),
        "worst": summary(1000 * sample["disturbed"]["worst"] for sample in taken),
        "p99_quiet": summary(1000 * sample["quiet"]["p99"] for sample in taken),
        "p99": summary(1000 * sample["disturbed"]["p99"] for sample in taken),
        **{key: summary(sample[key] for sample in taken) for key in ("boot", "new_up", "old_gone")},
    }


def render(result: Result) -> str:
    headings = ["server", "failed", "answered", "worst, no reload (ms)", "worst (ms)", "p99, no reload (ms)", "p99 (ms)", "first start (s)",
                "new generation up (s)", "old one gone (s)"]  # fmt: skip
    keys = ("worst_quiet", "worst", "p99_quiet", "p99", "boot", "new_up", "old_gone")
    return table([[row["server"], row["failed"], row["answered"], *(row[key]["median"] for key in keys)] for row in result.rows], headings)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--rate", type=float, default=200.0, help="requests a second")
    parser.add_argument("--seconds", type=float, default=12.0, help="of load without a reload")
    parser.add_argument("--repeat", type=int, default=3)
