"""Draws a start as text: a line for each process, with a bar of letters and the milliseconds each letter stands for. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from textwrap import wrap
from typing import Final

from tamago.cluster.trace_history import History, Life, Outcome, Segment
from tamago.cluster.trace_lines import one_line
from tamago.cluster.trace_slowest import LEAST, slow_steps
from tamago.types import TimedStep

LONGEST: Final = 40
"""Rows for workers; with more of them only the slowest, and those that failed, have one of their own."""
_SHOWN_OF_MANY: Final = 20
_NARROWEST_BAR: Final = 20
_LONGEST_NAME: Final = 64
_VISIBLE: Final = 0.00005
"""Seconds; what is shorter would be shown as 0.0 ms."""


@dataclass(frozen=True, slots=True)
class _Row:
    label: str
    segments: Sequence[Segment]
    text: str
    failed: bool = False
    life: Life | None = None


def draw(history: History, width: int, *, all_steps: bool = False) -> str:
    """Return the timeline; lines are at most `width` columns as long as the figures leave room for a bar.

    Below a process stand its slowest steps, or with `all_steps` each that is known.
    """
    rows = _rows(history)
    lives = [row.life for row in rows if row.life is not None]
    steps = {life.peer: life.steps for life in lives} if all_steps else slow_steps(lives)
    table = [each for row in rows for each in (row, *_rows_below(row, steps, history.end))]
    label = max((len(row.label) for row in table), default=0)
    text = max((len(row.text) for row in table), default=0)
    columns = max(_NARROWEST_BAR, width - label - text - 4)
    lines = [_headline(history), ""]
    lines += [f"{row.label:<{label}}  {_bar(row, history, columns)}  {row.text}".rstrip() for row in table]
    lines += ["", f"{'':<{label}}  {_scale(history, columns)}", *_legend(rows, width)]
    if sum(map(len, steps.values())) < sum(len(life.steps) for life in lives):
        lines.append(f"- a step of {milliseconds(LEAST)} ms or more; --all shows every step")
    lines += [f"failed: {life.name}: {one_line(life.problem)}" for life in history.lives if life.up is None and life.problem]
    threads = sorted({name for life in history.lives for name in life.threads})
    if threads:
        lines.append(f"started in spawn mode: the application starts threads when it is imported: {one_line(', '.join(threads))}")
    return "\n".join(lines) + "\n"


def milliseconds(seconds: float) -> str:
    """Return a duration in milliseconds, with a decimal where it matters.

    >>> milliseconds(0.00123), milliseconds(0.1234), milliseconds(61.0)
    ('1.2', '123', '61000')
    """
    value = seconds * 1000
    return f"{value:.1f}" if value < 9.95 else f"{value:.0f}"


def _headline(history: History) -> str:
    what = "start" if history.generation == 1 else f"reload to generation {history.generation}"
    after = f"after {milliseconds(history.seconds)} ms"
    match history.outcome:
        case Outcome.READY:
            where = f", listening on {one_line(', '.join(history.addresses))}" if history.addresses else ""
            return f"{what}: ready {after}{where}"
        case Outcome.FAILED | Outcome.ROLLED_BACK:
            return f"{what}: {history.outcome.value} {after}: {one_line(history.problem)}".rstrip(": ")
        case Outcome.STOPPED:
            return f"{what}: told to stop {after}"
        case Outcome.UNFINISHED:
            return f"{what}: not ready yet {after}"


# ── rows ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _rows(history: History) -> list[_Row]:
    rows = [
        _Row(label, [segment], f"{segment.name} {milliseconds(segment.seconds)}")
        for label, segment in (("launcher", history.launcher), ("master", history.master))
        if segment is not None
    ]
    several = len({life.generation for life in history.lives}) > 1
    workers = sorted((life for life in history.lives if life.is_worker), key=lambda life: (life.slot, life.asked))
    rows += [_row(life, history.end, several) for life in history.lives if not life.is_worker]
    if len(workers) <= LONGEST:
        return rows + [_row(life, history.end, several) for life in workers]
    # Who never came up counts as the slowest of all.
    slowest = {life.peer for life in sorted(workers, key=Life.seconds, reverse=True)[:_SHOWN_OF_MANY]}
    rows += [_row(life, history.end, several) for life in workers if life.peer in slowest]
    return [*rows, _summary([life for life in workers if life.peer not in slowest], history.end)]


def _row(life: Life, end: float, several: bool) -> _Row:
    label = f"{life.name} gen {life.generation}" if several or life.name == "nest" else life.name
    segments = life.segments(end)
    shown = [segment for segment in segments if segment.seconds >= _VISIBLE]
    parts = [f"{segment.name} {milliseconds(segment.seconds)}" for segment in shown]
    total = f"= {milliseconds(segments[-1].end - life.asked)}" if len(parts) > 1 else ""
    fate = "" if life.up is not None else "FAILED" if life.problem else "..."
    return _Row(label, segments, " ".join(filter(None, [*parts, total, fate])), failed=bool(life.problem) and life.up is None, life=life)


def _rows_below(row: _Row, steps: Mapping[int, Sequence[TimedStep]], end: float) -> Iterator[_Row]:
    """Yield a row for each step of the process that is to be shown."""
    if row.life is None:
        return
    life, shown = row.life, steps.get(row.life.peer, ())
    for step in shown:
        stop = (life.up or life.ended or end) if step.seconds is None else step.began + step.seconds
        took = f"{milliseconds(stop - step.began):>5}{'...' if step.seconds is None else ''}"
        yield _Row("", [Segment("step", step.began, stop)], f"{took} {_shortened(one_line(step.name, len(step.name)))}")
    if life.steps_left_out and len(shown) == len(life.steps):
        yield _Row("", [], f"      and {life.steps_left_out} shorter ones")


def _shortened(name: str) -> str:
    """Return the end of a long name: there stands the module, or the file and its hook."""
    return name if len(name) <= _LONGEST_NAME else f"…{name[1 - _LONGEST_NAME :]}"


def _summary(lives: Sequence[Life], end: float) -> _Row:
    """Return one row for many workers that came up: from the first order to the last one's end."""
    begin = min(life.asked for life in lives)
    stop = max(life.up if life.up is not None else end for life in lives)
    took = sorted(life.seconds() for life in lives)
    text = f"{milliseconds(took[0])} to {milliseconds(took[-1])}, median {milliseconds(median(took))}" if took[-1] < float("inf") else "..."
    return _Row(f"{len(lives)} more workers", [Segment("more", begin, stop)], text)


# ── bars ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _bar(row: _Row, history: History, columns: int) -> str:
    cells = [" "] * columns
    per_second = columns / history.seconds if history.seconds > 0 else 0.0
    for segment in row.segments:
        begin = _column((segment.begin - history.begin) * per_second, columns)
        end = _column((segment.end - history.begin) * per_second, columns)
        for column in range(begin, end):
            cells[column] = _letter(segment.name)
    if row.segments and not "".join(cells).strip():
        # Too short for a column of its own; it is shown where it was all the same.
        last = _column((row.segments[0].begin - history.begin) * per_second, columns - 1)
        cells[last] = _letter(max(row.segments, key=lambda segment: segment.seconds).name)
    if row.failed:
        used = "".join(cells).rstrip()
        cells[min(len(used), columns - 1)] = "!"
    return "".join(cells)


def _column(value: float, most: int) -> int:
    return min(max(round(value), 0), most)


def _letter(name: str) -> str:
    return _PLAIN.get(name, name[:1] or "?")


def _scale(history: History, columns: int) -> str:
    right = f"{milliseconds(history.seconds)} ms"
    return f"{'0':<{columns - len(right)}}{right}"


def _legend(rows: Iterable[_Row], width: int) -> list[str]:
    names: dict[str, None] = {}
    for row in rows:
        visible = (segment for segment in row.segments if segment.seconds >= _VISIBLE and segment.name not in _PLAIN)
        names.update(dict.fromkeys(segment.name for segment in visible))
    meanings = [f"{_letter(name)} {name}{_MEANINGS.get(name, '')}" for name in names]
    if not meanings:
        return []
    return ["", *wrap("milliseconds: " + "; ".join(meanings), max(_NARROWEST_BAR, width), subsequent_indent="  ")]


_PLAIN: Final = {"launch": "#", "prepare": "#", "more": "=", "step": "-"}
_MEANINGS: Final = {
    "fork": " (until it exists)",
    "hello": " (until it runs our code)",
    "start": " (interpreter and event loop)",
    "import": " (the application)",
    "gc": " (collect, freeze)",
    "boot": " (lifespan, start hooks)",
    "listen": " (until it accepts)",
}
