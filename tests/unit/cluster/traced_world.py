"""Traces to look at: what the real supervisor does in a simulated world, with the notes its master would add."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from tests.properties.nature import Kind
from tests.properties.world import World

from tamago.cluster.events import Command, Event, NestImported, ProcessBooted, ProcessFailed, ProcessForked, StartMode
from tamago.cluster.policy import Policy
from tamago.cluster.states import ClusterState
from tamago.cluster.trace import LIMIT, Trace
from tamago.cluster.trace_view import Record, load
from tamago.types import Role, TimedStep

WALL = 1_700_000_000.0

Steps = Mapping[Role, Sequence[tuple[str, float, float | None, float]]]
"""What each kind of process tells of its start: name, how long ago it began, how long it took, how much of that is its own."""


def open_file(path: Path) -> int:
    return os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND | os.O_TRUNC, 0o600)


class Traced:
    """A world and its trace. `write(...)` is used as the trace's file is; `records()` reads it.

    `steps` is what the processes tell of their starts.
    """

    def __init__(
        self,
        path: Path,
        *,
        nature: Kind | None = None,
        notes: bool = True,
        steps: Steps = MappingProxyType({}),
        limit: int = LIMIT,
        **policy: Any,
    ) -> None:
        self.path = path
        self.trace = Trace(open_file(path), limit=limit)
        self.world = World(Policy(**{"workers": 2, **policy}), nature or Kind())
        self.world.after_each.append(self._write)
        self._notes = notes
        self._steps = steps
        self._began = self.world.now - 0.2

    def records(self) -> list[Record]:
        return load(self.path)

    def started(self) -> Traced:
        """Start, until it is ready or given up."""
        if self._notes:
            self._note("launched", at=self._began)
            self._note("started", at=self._began + 0.12)
            self._note("bound", at=self._began + 0.19, addresses=["http://127.0.0.1:8000"])
        self.world.start()
        return self.until(lambda: self.world.state is ClusterState.READY)

    def until(self, condition: Callable[[], bool]) -> Traced:
        assert self.world.run(600, until=lambda: self.world.exit is not None or condition())
        return self

    def asked(self, request: Any) -> Traced:
        """Ask for something, until it is answered."""
        self.world.ask(request)
        return self.until(lambda: not self.world.pending)

    def _note(self, kind: str, *, at: float | None = None, peer: int | None = None, **facts: object) -> None:
        now = self.world.now if at is None else at
        self.trace.note(kind, now=now, wall=WALL + now, peer=peer, **facts)

    def _write(self, world: World, event: Event, commands: list[Command]) -> None:
        if self._notes:
            self._note_before(event)
        self.trace.record(event, commands, now=world.now, wall=WALL + world.now, began=self._began if self._notes else None)
        if self._notes and isinstance(event, ProcessForked):
            self._note("hello", peer=event.process)

    def _note_before(self, event: Event) -> None:
        match event:
            case NestImported(mode=mode):
                self._note_steps(event.process)
                threads = [] if mode is StartMode.FORK else ["metrics (Python)"]
                self._note("imported", peer=event.process, mode=mode.value, seconds=0.07, threads=threads)
            case ProcessBooted() | ProcessFailed():
                self._note_steps(event.process)
                if isinstance(event, ProcessBooted):
                    self._note("booted", peer=event.process, phases=[("boot", 0.06), ("listen", 0.002)])
            case _:
                return

    def _note_steps(self, peer: int) -> None:
        told = self._steps.get(self.world.children[peer].role, ())
        steps = [TimedStep(name, self.world.now - ago, seconds, own) for name, ago, seconds, own in told]
        if steps:
            self._note("timed", peer=peer, steps=steps, left_out=7)
