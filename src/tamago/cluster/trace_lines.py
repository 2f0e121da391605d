"""The lines of a trace as a reader sees them: loaded tolerantly from the file, then typed. The only place that parses them.

Who writes may be killed within a line, and may be another version of tamago: what cannot be read is skipped, never an error.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import msgspec

from tamago.errors import TamagoError
from tamago.types import TimedStep

Record = dict[str, Any]
"""One line of the file as it stands there."""


class TraceUnreadableError(TamagoError):
    """There is no trace, or it cannot be read."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"cannot read the trace {path}: {reason}", hint="a trace is written from `tamago start` on, by the same user")
        self.path = path


class Cause(msgspec.Struct, frozen=True, kw_only=True):
    """Why something failed."""

    problem: str = ""
    hint: str = ""


class _Head(msgspec.Struct, frozen=True, kw_only=True):
    """What every line has."""

    n: int
    t: float
    kind: str
    type: str
    cause: int | None = None
    process: int | None = None
    name: str = ""
    generation: int = 0
    pid: int = 0


class Line(_Head, frozen=True, kw_only=True):
    """One line. The fields after those of every line belong to some types only; see docs/reference/trace.md."""

    role: str = ""
    slot: int = 0
    nest: int | None = None
    mode: str = ""
    state: str = ""
    status: int = 0
    seconds: float = 0.0
    phases: list[tuple[str, float]] = []
    steps: list[TimedStep] = []
    left_out: int = 0
    addresses: list[str] = []
    threads: list[str] = []
    failure: Cause | None = None
    level: str = ""
    text: str = ""
    reason: str = ""
    what: str = ""
    signal: str = ""
    workers: int = 0
    count: int = 0
    closing: bool = False
    code: int = 0
    killed: int = 0
    request: int = 0
    first: int = 0
    last: int = 0


_HEAD: Final = frozenset(_Head.__struct_fields__)


def load(path: Path) -> list[Record]:
    """Read a trace file. Torn and foreign lines are left out; raises `TraceUnreadableError` when there is no file."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise TraceUnreadableError(path, (error.strerror or str(error)).lower()) from None
    return [record for line in content.splitlines() if (record := _record(line)) is not None]


def typed(records: Iterable[Record]) -> list[Line]:
    """Return the records that are lines of a trace, in order."""
    return [line for record in records if (line := _line(record)) is not None]


def one_line(text: str, longest: int = 200) -> str:
    """Return text that an application wrote as one line that does nothing to a terminal."""
    line = "".join(each if each.isprintable() else "?" for each in " ".join(text.split()))
    return line if len(line) <= longest else f"{line[: longest - 1]}…"


def _record(line: bytes) -> Record | None:
    try:
        return msgspec.json.decode(line, type=Record)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def _line(record: Record) -> Line | None:
    for candidate in (record, {name: value for name, value in record.items() if name in _HEAD}):
        try:
            return msgspec.convert(candidate, Line)
        except msgspec.ValidationError:
            continue
    return None
