"""What the relay knows of one process, and what it asks of a channel. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from tamago.types import Role


class Line(Protocol):
    """A child's channel as the relay sees it; `ipc/master_channel.py` is the real one."""

    on_data: Callable[[memoryview], int]
    on_eof: Callable[[], None]
    on_room: Callable[[], None]

    @property
    def queued_bytes(self) -> int: ...
    def start(self) -> None: ...
    def pause_reading(self) -> None: ...
    def resume_reading(self) -> None: ...
    def read_rest(self) -> None: ...
    def put(self, frames: bytes | memoryview, count: int, /) -> None: ...
    def flush(self) -> None: ...
    def unsent(self) -> list[bytes]: ...
    def close(self) -> None: ...


class Attached:
    """One process whose channel the relay reads."""

    __slots__ = ("id", "line", "paused_by", "pid", "refused", "role", "skip", "slot", "slows")

    def __init__(self, peer: int, role: Role, slot: int, pid: int, line: Line) -> None:
        self.id, self.role, self.slot, self.pid, self.line = peer, role, slot, pid, line
        self.skip = 0
        """Bytes of a frame too large that are still to be thrown away."""
        # Invariant: a in b.slows exactly when b in a.paused_by; a is read from exactly while its paused_by is empty.
        self.paused_by: set[Attached] = set()
        self.slows: set[Attached] = set()
        self.refused: dict[str, int] = {}
        """How many of its messages could not be delivered, by reason, until it is told."""

    @property
    def name(self) -> str:
        return f"worker {self.slot}" if self.role is Role.WORKER else f"the {self.role.value}"
