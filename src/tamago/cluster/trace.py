"""Writes what the cluster did, line by line, into the bounded `trace.jsonl`: each event of the supervisor, its commands, and notes.

The file keeps its beginning (the start-up) and its end; what is between is dropped once it grows too large. The trace is a witness, never
a reason to fail: nothing here raises, and what a full disk did not take is counted. Owns the descriptor; knows no clock and no asyncio.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cache
from typing import Any, Final

import msgspec

from tamago.cluster.events import (
    Command,
    EnterState,
    Event,
    Failure,
    Fork,
    ForkFailed,
    ProcessExited,
    ProcessForked,
    StartNest,
)
from tamago.cluster.states import ClusterState
from tamago.types import Role
from tamago.user_traceback import readable

LIMIT: Final = 4 * 1024 * 1024
"""Bytes the file may have. An eighth of it is for the start-up; when it is full, an eighth of it of the newest lines stays as well."""
LONGEST_TEXT: Final = 2 * 1024
"""Characters of one text in a line: the last ones of a traceback, the first ones of anything else."""
LONGEST_LINE: Final = 16 * 1024
# The names of the dead are kept for a moment: what they said last may come after their end.
_REMEMBERED_DEAD: Final = 64
# `cause` is the number of the event in every line; the text with which a stop was asked for is called as in the other events.
_RENAMED: Final = {"cause": "reason"}
_ENCODER: Final = msgspec.json.Encoder(enc_hook=str)


@dataclass(slots=True)
class _Name:
    """What lines say about a process besides its peer id."""

    name: str
    generation: int
    pid: int


class Trace:
    """The trace of one master. `fd` is the file, opened for appending and owned from now on; None keeps only what `tail` returns.

    Invariant: line numbers grow by one and are never used twice, so a reader sees from them what is missing.
    """

    def __init__(self, fd: int | None, *, limit: int = LIMIT) -> None:
        self._limit = limit
        self._share = limit // 8
        self._names: dict[int, _Name] = {}
        self._dead: deque[int] = deque()
        self._began: float | None = None
        self._number = 0
        self._recent: deque[tuple[int, bytes]] = deque()
        self._recent_size = 0  # Invariant: bytes in _recent
        self.dropped = 0  # lines that a failed write has cost
        self._fd: int | None = None
        self._head_is_open = True
        self._begin_file(fd)

    # ── what happened ────────────────────────────────────────────────────────────────────────────────────────────────

    def record(self, event: Event, commands: Sequence[Command], *, now: float, wall: float, began: float | None = None) -> None:
        """Write an event and what the supervisor answered. `began` is when the command line began, once that is known."""
        self._began = self._began if began is None else began
        cause = self._number + 1
        lines = [self._line("event", type(event).__name__, now, wall, self._about(event))]
        # A fork that failed may be ordered again by one of these commands.
        self._forget(event)
        lines += [self._line("command", type(each).__name__, now, wall, {"cause": cause} | self._about(each)) for each in commands]
        self._write(lines, now, wall)
        if self._head_is_open and any(isinstance(each, EnterState) and each.state is not ClusterState.STARTING for each in commands):
            self._head_is_open = False

    def note(self, kind: str, *, now: float, wall: float, peer: int | None = None, **facts: object) -> None:
        """Write what happened outside the supervisor: "launched", "started", "bound", "hello", "imported", "booted", "signal", ..."""
        if kind == "launched":
            self._began = now
        about = {} if peer is None else self._who(peer)
        self._write([self._line("note", kind, now, wall, about | {name: _short(value) for name, value in facts.items()})], now, wall)

    def meet(self, peer: int, *, role: Role, slot: int = 0, generation: int = 0, pid: int = 0) -> None:
        """Learn who a peer is. Not needed for those the supervisor starts; what is 0 leaves what is known."""
        known = self._names.get(peer) or _Name("", 0, 0)
        name = f"worker {slot}" if role is Role.WORKER else role.value
        self._names[peer] = _Name(name, generation or known.generation, pid or known.pid)

    def tail(self, count: int) -> list[dict[str, Any]]:
        """Return the last lines, as many of them as are remembered."""
        newest = list(self._recent)[-count:] if count > 0 else []
        return [msgspec.json.decode(line) for _, line in newest]

    # ── the file ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def reopen(self, fd: int | None) -> None:
        """Go on in another file, because the old one was deleted; it begins with the newest lines."""
        self.close()
        self._begin_file(fd)
        self._append(line for _, line in self._recent)

    def close(self) -> None:
        """Let go of the file; what is recorded after it is only remembered."""
        fd, self._fd = self._fd, None
        if fd is not None:
            try:
                os.close(fd)
            except OSError:
                return

    def _begin_file(self, fd: int | None) -> None:
        self._fd = fd
        self._size = 0
        self._head_size = 0  # bytes at the beginning that are never dropped
        self._head_number = 0  # the number of the last line among them
        self._head_is_open = True
        self._written = self._number  # the number of the last line that is in the file
        self._torn = False  # the file ends within a line
        if fd is not None:
            try:
                self._size = self._head_size = os.lseek(fd, 0, os.SEEK_END)
            except OSError:  # a pipe; it begins now
                return

    def _write(self, lines: list[bytes], now: float, wall: float) -> None:
        first = self._number - len(lines) + 1
        self._remember(lines, first)
        if self._fd is None:
            return
        gap = [self._gap(self._written + 1, first - 1, "write failed", now, wall)] if self._written + 1 < first else []
        if self._append_bounded([*gap, *lines], now, wall):
            self._written = self._number
            self._extend_head()
        else:
            self.dropped += len(lines)

    def _remember(self, lines: list[bytes], first: int) -> None:
        for number, line in enumerate(lines, start=first):
            self._recent.append((number, line))
            self._recent_size += len(line)
        while self._recent_size > self._share:
            self._recent_size -= len(self._recent.popleft()[1])

    def _append_bounded(self, lines: list[bytes], now: float, wall: float) -> bool:
        if self._size + sum(map(len, lines)) + 1 <= self._limit:
            return self._append(lines)
        return self._drop_middle(now, wall)

    def _append(self, lines: Iterator[bytes] | Sequence[bytes]) -> bool:
        """Write lines with one call; return whether all of them got there."""
        data = b"".join(lines)
        if self._fd is None or not data:
            return False
        if self._torn:
            data = b"\n" + data
        try:
            written = os.write(self._fd, data)
        except OSError:
            return False
        self._size += written
        self._torn = written < len(data) and data[written - 1 : written] != b"\n"
        return written == len(data)

    def _drop_middle(self, now: float, wall: float) -> bool:
        """Write the newest lines, those just recorded among them, where the dropped ones were."""
        if self._fd is None:
            return False
        self._head_is_open = False
        try:
            os.ftruncate(self._fd, self._head_size)
            os.lseek(self._fd, self._head_size, os.SEEK_SET)
        except OSError:
            return False
        self._size, self._torn = self._head_size, False
        newest = [(number, line) for number, line in self._recent if number > self._head_number]
        last = newest[0][0] - 1 if newest else self._number
        gap = self._gap(self._head_number + 1, last, "the file is full", now, wall)
        return self._append([gap, *(line for _, line in newest)])

    def _extend_head(self) -> None:
        if self._head_is_open and self._size <= self._share:
            self._head_size, self._head_number = self._size, self._number
        else:
            self._head_is_open = False

    # ── lines ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _line(self, kind: str, type_: str, now: float, wall: float, about: Mapping[str, object]) -> bytes:
        self._number += 1
        return self._encode(self._number, kind, type_, now, wall, about)

    def _gap(self, first: int, last: int, reason: str, now: float, wall: float) -> bytes:
        return self._encode(last, "note", "gap", now, wall, {"first": first, "last": last, "reason": reason})

    def _encode(self, number: int, kind: str, type_: str, now: float, wall: float, about: Mapping[str, object]) -> bytes:
        head: dict[str, object] = {"n": number, "t": round(now, 6), "wall": round(wall, 6)}
        if self._began is not None:
            head["at"] = round(now - self._began, 6)
        head |= {"kind": kind, "type": type_}
        try:
            line = _ENCODER.encode(head | {name: value for name, value in about.items() if name not in head})
        except (TypeError, ValueError, OverflowError, RecursionError, msgspec.MsgspecError) as error:
            return _ENCODER.encode(head | {"unreadable": type(error).__name__}) + b"\n"
        if len(line) > LONGEST_LINE:
            line = _ENCODER.encode(head | {name: value for name, value in about.items() if isinstance(value, int)} | {"cut": len(line)})
        return line + b"\n"

    def _about(self, what: Event | Command) -> dict[str, object]:
        self._learn(what)
        peer = getattr(what, "process", None)
        about: dict[str, object] = {} if peer is None else self._who(peer)
        family: Any = type(what)
        for name, shown_as in _fields_of(family):
            value = getattr(what, name)
            about[shown_as] = _short(value[-LONGEST_TEXT:] if name == "detail" else value)  # of a traceback the end
        return about

    def _who(self, peer: int) -> dict[str, object]:
        known = self._names.get(peer)
        if known is None:
            return {"process": peer}
        who: dict[str, object] = {"process": peer, "name": known.name}
        if known.generation:
            who["generation"] = known.generation
        if known.pid:
            who["pid"] = known.pid
        return who

    def _learn(self, what: Event | Command) -> None:
        match what:
            case StartNest():
                self.meet(what.process, role=Role.NEST, generation=what.generation)
            case Fork():
                self.meet(what.process, role=what.role, slot=what.slot, generation=what.generation)
            case ProcessForked():
                if known := self._names.get(what.process):
                    known.pid = what.pid
            case _:
                return

    def _forget(self, event: Event) -> None:
        match event:
            case ForkFailed():
                self._names.pop(event.process, None)
            case ProcessExited():
                self._dead.append(event.process)
                if len(self._dead) > _REMEMBERED_DEAD:
                    self._names.pop(self._dead.popleft(), None)
            case _:
                return


@cache
def _fields_of(family: Any) -> tuple[tuple[str, str], ...]:
    """Return the fields of an event or a command, each with its name in a line."""
    return tuple((each.name, _RENAMED.get(each.name, each.name)) for each in fields(family))


def _short(value: object) -> object:
    """Make a value fit into a line."""
    match value:
        case str():
            return readable(value[:LONGEST_TEXT])
        case Failure():
            return {"problem": _short(value.problem), "hint": _short(value.hint), "detail": readable(value.detail[-LONGEST_TEXT:])}
        case list() | tuple():
            return [_short(each) for each in value]
        case _:
            return value
