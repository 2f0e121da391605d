"""Seconds from the command to the first answer with one worker: the example blog with all it has, and an Egg application without any."""

from __future__ import annotations

import argparse
import asyncio
import shutil
import tempfile
import time
from pathlib import Path
from typing import Final

from benchmarks.frameworks import FRAMEWORKS, STRIPPED_EGG
from benchmarks.paths import ROOT
from benchmarks.results import Result, note, summary, table
from benchmarks.running import MeasurementError, running
from benchmarks.servers import TAMAGO, Job, Server, installed
from benchmarks.throughput import answered

BLOG: Final = ROOT / "examples" / "blog"


def _blog(directory: Path) -> Server:
    def command(job: Job) -> list[str]:
        return [
            "tamago", "start", str(directory), "--workers", str(job.workers), "--bind", f"127.0.0.1:{job.port}",
            "--title", f"bench-{job.port}", "--log-level", "warning",
        ]  # fmt: skip

    return Server(name=TAMAGO, program="tamago", command=command)


async def measure(server: Server, path: str) -> float:
    """Start, and return how long it took until `path` was answered."""
    async with running(server, app="", workers=1, grace=5.0) as site:
        await answered(site, path=path)
        return time.monotonic() - site.started


def run(arguments: argparse.Namespace) -> Result:
    notes: list[str] = []
    samples: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as place:
        blog = Path(place) / "blog"
        shutil.copytree(BLOG, blog, ignore=shutil.ignore_patterns("__pycache__", "run", "logs", "*.sqlite3*"))
        egg = next(server for server in FRAMEWORKS if server.name == STRIPPED_EGG)
        for _ in range(arguments.repeat):
            for server, path in ((_blog(blog), "/"), (egg, "/plain")):
                for chosen in installed([server]):
                    try:
                        seconds = asyncio.run(measure(chosen, path))
                    except MeasurementError as error:
                        note(notes, chosen.name, error)
                        continue
                    samples.setdefault(chosen.name, []).append(seconds)
                    print(f"{chosen.name}: {seconds:.2f} s", flush=True)
    rows = [{"server": name, "served": summary(taken)} for name, taken in samples.items()]
    return Result(name="framework-start", rows=rows, notes=notes, settings={"workers": 1, "repeat": arguments.repeat})


def render(result: Result) -> str:
    names = {TAMAGO: "tamago: examples/blog", STRIPPED_EGG: "Egg: two routes, no plugins"}
    rows = [[names[row["server"]], row["served"]["median"], row["served"]["highest"]] for row in result.rows]
    return table(rows, ["application", "first answer (s)", "slowest (s)"])


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--repeat", type=int, default=5)
