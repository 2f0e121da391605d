"""What the access log costs: CPU time a request without it, and with each of its formats, written to /dev/null."""

from __future__ import annotations

import argparse
import asyncio
import os
from collections.abc import Callable
from dataclasses import replace

from benchmarks import throughput
from benchmarks.results import Result, Row, summary, table
from benchmarks.servers import SERVERS, TAMAGO, Job, Server

OFF = "off"
FORMATS = ("common", "combined", "json")
PLAIN = next(case for case in throughput.CASES if case.name == "ASGI, plain")


def _with(form: str) -> Server:
    plain = SERVERS[TAMAGO]

    def flagged(job: Job) -> list[str]:
        return [*plain.command(job), "--access-log", "--access-log-file", os.devnull, "--access-log-format", form]

    command: Callable[[Job], list[str]] = plain.command if form == OFF else flagged
    return replace(plain, name=form, command=command)


def run(arguments: argparse.Namespace) -> Result:
    notes: list[str] = []
    samples = asyncio.run(throughput.measure(PLAIN, [_with(form) for form in (OFF, *FORMATS)], arguments, notes))
    rows: list[Row] = [
        {"format": form, **{key: summary(sample[key] for sample in turns.values()) for key in ("cpu", "rate")}}
        for form, turns in samples.items()
    ]
    settings = {key: getattr(arguments, key) for key in ("workers", "connections", "seconds", "turns", "repeat")}
    return Result(name="access-log", rows=rows, notes=notes, settings=settings)


def render(result: Result) -> str:
    plain = next((row["cpu"]["median"] for row in result.rows if row["format"] == OFF), None)
    rows = [
        [row["format"], row["cpu"]["median"], None if plain is None else row["cpu"]["median"] - plain, row["rate"]["median"]]
        for row in result.rows
    ]
    return table(rows, ["access log", "CPU a request (µs)", "more (µs)", "requests/s"])


add_arguments = throughput.add_arguments
