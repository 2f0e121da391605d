"""Messages between a worker and the agent: tamago, Egg, Redis, multiprocessing.Queue, and a bare relay as the floor."""

from __future__ import annotations

import argparse
import json
import subprocess
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from pathlib import Path

from benchmarks.messaging import egg, tamago
from benchmarks.messaging.plan import Figures, FiguresBySize, Plan
from benchmarks.paths import PYTHON, ROOT
from benchmarks.results import Result, Row, note, summary, table
from benchmarks.running import MeasurementError

WITHIN = 180.0


def _blocking(name: str, plan: Plan) -> FiguresBySize:
    command: list[str | Path] = [PYTHON, "-m", "benchmarks.messaging.blocking", name, plan.to_json()]
    try:
        output = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=WITHIN).stdout
    except (OSError, subprocess.SubprocessError) as error:
        raise MeasurementError(f"{error}: {getattr(error, 'stderr', b'')!r}") from error
    figures: FiguresBySize = json.loads(output)
    return figures


WAYS: dict[str, Callable[[Plan], FiguresBySize]] = {
    "tamago": tamago.measure,
    "Egg": egg.measure,
    "Redis pub/sub": partial(_blocking, "redis"),
    "multiprocessing.Queue": partial(_blocking, "queue"),
    "bare relay": partial(_blocking, "relay"),
}


def run(arguments: argparse.Namespace) -> Result:
    notes: list[str] = []
    plan = Plan(one_way=arguments.one_way, together=arguments.together, alone=arguments.alone)
    wanted = {name: way for name, way in WAYS.items() if not arguments.servers or name in arguments.servers}
    samples: dict[tuple[str, str], list[Figures]] = defaultdict(list)
    for _ in range(arguments.repeat):
        for name, way in wanted.items():
            try:
                figures = way(plan)
            except MeasurementError as error:
                note(notes, name, error)
                continue
            for size, taken in figures.items():
                samples[name, size].append(taken)
                print(f"{name}, {size} bytes: {', '.join(f'{key} {value:,.0f}' for key, value in taken.items())}", flush=True)
    rows = [_row(name, size, taken) for (name, size), taken in samples.items()]
    return Result(name="messenger", rows=rows, notes=notes, settings={"plan": json.loads(plan.to_json()), "repeat": arguments.repeat})


def _row(name: str, size: str, taken: list[Figures]) -> Row:
    by_key = {key: [sample[key] for sample in taken] for key in taken[0]}  # type: ignore[literal-required]
    return {"way": name, "size": int(size), **{key: summary(values) for key, values in by_key.items()}}


def render(result: Result) -> str:
    keys = ("one_way", "together", "alone", "requests_together", "requests_alone")
    rows = [
        [row["size"], row["way"], *(row[key]["median"] if key in row else None for key in keys)]
        for row in sorted(result.rows, key=lambda row: row["size"])
    ]
    headings = ["bytes", "through", "one way (/s)", "round trips, 64 under way (/s)", "one at a time, p50 (µs)",
                "requests, 64 under way (/s)", "one request, p50 (µs)"]  # fmt: skip
    return table(rows, headings)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    plan = Plan()
    parser.add_argument("--one-way", type=int, default=plan.one_way)
    parser.add_argument("--together", type=int, default=plan.together)
    parser.add_argument("--alone", type=int, default=plan.alone)
    parser.add_argument("--repeat", type=int, default=5)
