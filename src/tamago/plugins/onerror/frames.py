"""Takes an error apart for people: who called whom, with the source around each call, and what the error came from."""

from __future__ import annotations

import linecache
import sys
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from tamago.errors import TamagoError

AROUND = 5
"""Lines of source before and after the one that was running."""

MOST_FRAMES = 60
"""Frames shown of one error; of more, as an endless recursion has, the ones in the middle are left out."""

MOST_ERRORS = 10
"""Errors shown, with all causes and members of groups."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One call: `code` are the lines from number `first` on; the running part is in line `line` from `start` to `end` (columns)."""

    file: str
    shown_file: str
    line: int
    function: str
    ours: bool
    first: int
    code: Sequence[str]
    start: int | None = None
    end: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Raised:
    """One error: `relation` says how it comes to be here, "" for the one it is about. The innermost frame comes first.

    `left_out` frames are missing after the first half of `frames`.
    """

    relation: str
    kind: str
    message: str
    notes: Sequence[str]
    frames: Sequence[Frame]
    left_out: int = 0


def take_apart(error: BaseException, directory: Path) -> list[Raised]:
    """Return the error and those it came from; `directory` tells the application's own code from other people's."""
    found: list[Raised] = []
    for relation, member in _family(error, "", set()):
        frames = list(_frames(member.__traceback__, directory))[::-1]
        left_out = max(0, len(frames) - MOST_FRAMES)
        if left_out:
            half = MOST_FRAMES // 2
            frames = frames[:half] + frames[-half:]
        notes = [str(note) for note in getattr(member, "__notes__", ())]
        raised = Raised(relation=relation, kind=kind_of(member), message=message_of(member), notes=notes, frames=frames, left_out=left_out)
        found.append(raised)
        if len(found) == MOST_ERRORS:
            break
    return found


def kind_of(error: BaseException) -> str:
    """Return the name of the error's class, with its module unless that is Python itself."""
    kind = type(error)
    return kind.__qualname__ if kind.__module__ in {"builtins", "__main__"} else f"{kind.__module__}.{kind.__qualname__}"


def message_of(error: BaseException) -> str:
    """Return what the error says, without its hint, also when saying it fails."""
    try:
        return error.problem if isinstance(error, TamagoError) else str(error)
    except Exception as failure:  # noqa: BLE001 - whatever the application's own class raises
        return f"<its message cannot be had: {type(failure).__name__}>"


def _family(error: BaseException, relation: str, seen: set[int]) -> Iterator[tuple[str, BaseException]]:
    if id(error) in seen:
        return
    seen.add(id(error))
    yield relation, error
    if isinstance(error, BaseExceptionGroup):
        for number, member in enumerate(error.exceptions, 1):
            yield from _family(member, f"{number} of {len(error.exceptions)} in the group", seen)
    if error.__cause__ is not None:
        yield from _family(error.__cause__, "caused by", seen)
    elif error.__context__ is not None and not error.__suppress_context__:
        yield from _family(error.__context__, "raised while handling", seen)


def _frames(trace: TracebackType | None, directory: Path) -> Iterator[Frame]:
    for summary in traceback.extract_tb(trace):
        line = summary.lineno or 0
        source = linecache.getlines(summary.filename)
        first = max(1, line - AROUND)
        code = [text.rstrip("\n") for text in source[first - 1 : line + AROUND]]
        start, end = _columns(summary, source[line - 1] if 0 < line <= len(source) else "")
        shown, ours = _place(summary.filename, directory)
        yield Frame(
            file=summary.filename,
            shown_file=shown,
            line=line,
            function=summary.name,
            ours=ours,
            first=first,
            code=code,
            start=start,
            end=end,
        )


def _columns(summary: traceback.FrameSummary, text: str) -> tuple[int | None, int | None]:
    """Return the columns of the running part in characters; Python counts bytes."""
    if summary.colno is None or summary.end_colno is None:
        return None, None
    line = text.encode()
    start = len(line[: summary.colno].decode(errors="replace"))
    end = len(line[: summary.end_colno].decode(errors="replace")) if summary.end_lineno == summary.lineno else len(text.rstrip())
    return start, end


def _place(file: str, directory: Path) -> tuple[str, bool]:
    """Return how a file is called here, and whether it is the application's own."""
    path = Path(file)
    if path.is_relative_to(directory) and not path.is_relative_to(sys.prefix) and "site-packages" not in path.parts:
        return str(path.relative_to(directory)), True
    roots = [Path(root) for root in sys.path if root and path.is_relative_to(root)]
    return (str(path.relative_to(max(roots, key=lambda root: len(root.parts)))) if roots else file), False
