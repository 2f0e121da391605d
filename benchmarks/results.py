"""A benchmark's figures: a table for people now, a JSON file for the report later."""

from __future__ import annotations

import json
import os
import platform
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from benchmarks.paths import RESULTS, VENV

Row = dict[str, Any]


def machine() -> Row:
    cpu = next(
        (line.partition(":")[2].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")), "?"
    )
    return {
        "cpu": cpu,
        "cores": len(os.sched_getaffinity(0)),
        "kernel": platform.release(),
        "python": platform.python_version(),
    }


def versions() -> Row:
    """Return the versions of what stands in the peers' environment."""
    site_packages = [str(path) for path in VENV.glob("lib/*/site-packages")]
    return {
        dist.metadata["Name"]: dist.version
        for dist in metadata.distributions(path=site_packages)
        if dist.metadata["Name"] in {"tamago", "gunicorn", "uvicorn", "uvicorn-worker", "granian", "uvloop", "fastapi", "redis"}
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """Rows of one benchmark, with what a reader needs to judge them. `notes` says what could not be measured, and why."""

    name: str
    rows: list[Row]
    settings: Row
    notes: list[str]
    machine: Row = field(default_factory=machine)
    versions: Row = field(default_factory=versions)
    when: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))

    def save(self) -> None:
        RESULTS.mkdir(exist_ok=True)
        text = json.dumps({name: getattr(self, name) for name in self.__slots__}, indent=1, ensure_ascii=False)
        (RESULTS / f"{self.name}.json").write_text(text + "\n")

    @classmethod
    def load(cls, name: str) -> Result | None:
        path = RESULTS / f"{name}.json"
        return cls(**json.loads(path.read_text())) if path.exists() else None


def note(notes: list[str], what: str, error: Exception) -> None:
    """Say at once what could not be measured, at length, and keep its first line for the report."""
    print(f"{what}: {error}", flush=True)
    notes.append(f"{what}: {str(error).partition(chr(10))[0]}")


def summary(values: Iterable[float]) -> Row:
    """Return the median and the spread of repeated measurements."""
    ordered = sorted(values)
    return {"median": statistics.median(ordered), "lowest": ordered[0], "highest": ordered[-1], "runs": len(ordered)}


def table(rows: Sequence[Sequence[object]], headings: Sequence[str]) -> str:
    """Return a Markdown table, which is readable as it stands in a terminal; numbers go right."""
    cells = [[_text(cell) for cell in row] for row in rows]
    widths = [max(len(line[column]) for line in [list(headings), *cells]) for column in range(len(headings))]
    numeric = [all(isinstance(row[column], int | float | None) for row in rows) for column in range(len(headings))]

    def line(texts: Sequence[str]) -> str:
        padded = [text.rjust(width) if right else text.ljust(width) for text, width, right in zip(texts, widths, numeric, strict=True)]
        return f"| {' | '.join(padded)} |"

    rule = "|".join(f"{'-' * (width + 1)}{':' if right else '-'}" for width, right in zip(widths, numeric, strict=True))
    return "\n".join([line(list(headings)), f"|{rule}|", *(line(row) for row in cells)])


def _text(cell: object) -> str:
    if cell is None:
        return "-"
    if isinstance(cell, float):
        return f"{cell:,.0f}" if abs(cell) >= 100 else f"{cell:.3g}"
    return f"{cell:,}" if isinstance(cell, int) else str(cell)
