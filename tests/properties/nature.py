"""What becomes of the processes of the simulated world: how they boot, leave and die. Decides; does nothing.

`Kind` lets everything succeed, at once or after the delays it is given, unless a test says otherwise for the next one. `Rough` draws every
fate and delay from a seeded generator.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, fields, replace
from enum import Enum
from random import Random
from typing import Protocol

from tamago.cluster.events import StartMode
from tamago.types import Role


class ForkFate(Enum):
    """What follows the order to start a process."""

    FORKS = "forks"
    FAILS = "fails"
    STALLS = "stalls"  # its nest stops answering: nothing follows until the nest dies


class BootFate(Enum):
    """What follows the birth of a process."""

    BOOTS = "boots"
    FAILS = "fails"  # says why, then exits
    FAILS_AND_STAYS = "fails and stays"  # says why, and does not exit
    DIES = "dies"
    HANGS = "hangs"


class Nature(Protocol):
    """Decides the fate of every process. Delays in seconds."""

    def fork(self, role: Role) -> tuple[ForkFate, float]: ...
    def boot(self, role: Role) -> tuple[BootFate, float]: ...
    def leave(self, role: Role) -> float | None:
        """Return after how long it exits once it is told to leave; None: it ignores that."""

    def die(self) -> float:
        """Return after how long SIGKILL has worked."""

    def latency(self) -> float:
        """Return for how long a message is on its way to the master."""

    def lateness(self) -> float:
        """Return how late a timer fires."""

    def mode(self) -> StartMode: ...
    def channel_closes_first(self) -> bool:
        """Say whether the master sees the closed channel of a dead process as well as its end."""


@dataclass(slots=True)
class Kind:
    """Everything succeeds, with fixed delays. What is appended to a queue is the fate of the next process instead."""

    boot_time: float = 0.1
    leave_time: float = 0.1
    start_mode: StartMode = StartMode.FORK
    forks: deque[ForkFate] = field(default_factory=deque)
    boots: deque[tuple[BootFate, float]] = field(default_factory=deque)
    leaves: deque[float | None] = field(default_factory=deque)
    lost_channels: bool = False

    def fork(self, role: Role) -> tuple[ForkFate, float]:
        del role
        return (self.forks.popleft() if self.forks else ForkFate.FORKS), 0.01

    def boot(self, role: Role) -> tuple[BootFate, float]:
        del role
        return self.boots.popleft() if self.boots else (BootFate.BOOTS, self.boot_time)

    def leave(self, role: Role) -> float | None:
        del role
        return self.leaves.popleft() if self.leaves else self.leave_time

    def die(self) -> float:
        return 0.01

    def latency(self) -> float:
        return 0.001

    def lateness(self) -> float:
        return 0.0

    def mode(self) -> StartMode:
        return self.start_mode

    def channel_closes_first(self) -> bool:
        return self.lost_channels


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """How likely each fault is, 0..1. The first group befalls each process once, the second is injected from outside at each step."""

    fork_fails: float = 0.0
    nest_stalls: float = 0.0
    boot_fails: float = 0.0
    fails_and_stays: float = 0.0
    dies_in_boot: float = 0.0
    hangs_in_boot: float = 0.0
    boots_slowly: float = 0.0
    ignores_drain: float = 0.0
    leaves_slowly: float = 0.0

    dies: float = 0.0
    nest_dies: float = 0.0
    hangs: float = 0.0
    lies: float = 0.0
    sleeps: float = 0.0  # the master, or the machine, does nothing for a while

    @property
    def are_none(self) -> bool:
        """Whether nothing can go wrong."""
        return not any(getattr(self, each.name) for each in fields(self))

    @classmethod
    def drawn(cls, rng: Random) -> Faults:
        """Return a mixture: some faults not at all, others rare, others frequent."""
        levels = (0.0, 0.0, 0.02, 0.1, 0.4)
        born = {each.name: rng.choice(levels) for each in fields(cls)[:9]}
        sent = {each.name: rng.choice(levels) / 4 for each in fields(cls)[9:]}
        return replace(cls(), **born, **sent)


@dataclass(slots=True)
class Rough:
    """Draws everything from `rng`, with the likelihoods of `faults`. `calm` ends the faults, not the delays."""

    rng: Random
    faults: Faults
    boot_timeout: float
    stop_timeout: float
    spawns: bool

    def calm(self) -> None:
        """From now on nothing new goes wrong."""
        self.faults = Faults()

    def fork(self, role: Role) -> tuple[ForkFate, float]:
        delay = self.rng.uniform(0.0, 0.05)
        if self._happens(self.faults.fork_fails):
            return ForkFate.FAILS, delay
        if role is not Role.NEST and self._happens(self.faults.nest_stalls):
            return ForkFate.STALLS, delay
        return ForkFate.FORKS, delay

    def boot(self, role: Role) -> tuple[BootFate, float]:
        del role
        delay = self.rng.uniform(0.0, min(1.0, self.boot_timeout / 2))
        faults = self.faults
        for chance, fate in (
            (faults.boot_fails, BootFate.FAILS),
            (faults.fails_and_stays, BootFate.FAILS_AND_STAYS),
            (faults.dies_in_boot, BootFate.DIES),
            (faults.hangs_in_boot, BootFate.HANGS),
        ):
            if self._happens(chance):
                return fate, delay
        if self._happens(faults.boots_slowly):
            delay = self.rng.uniform(0.5, 1.5) * self.boot_timeout
        return BootFate.BOOTS, delay

    def leave(self, role: Role) -> float | None:
        del role
        if self._happens(self.faults.ignores_drain):
            return None
        if self._happens(self.faults.leaves_slowly):
            return self.rng.uniform(0.5, 1.5) * self.stop_timeout
        return self.rng.uniform(0.0, min(1.0, self.stop_timeout / 2))

    def die(self) -> float:
        return self.rng.choice((0.0, 0.001, 0.01, 0.5, 2.0))

    def latency(self) -> float:
        return self.rng.choice((0.0, 0.0005, 0.001, 0.005))

    def lateness(self) -> float:
        return self.rng.choice((0.0, 0.0, 0.001, 0.02))

    def mode(self) -> StartMode:
        return StartMode.SPAWN if self.spawns else StartMode.FORK

    def channel_closes_first(self) -> bool:
        return self.rng.random() < 0.5

    def _happens(self, chance: float) -> bool:
        return chance > 0.0 and self.rng.random() < chance
