"""Runs the supervisor through random fault schedules: `python -m tests.properties.simulate --schedules 100000`.

A schedule is its seed. A failure prints the seed, the fewest steps that still fail, and everything that was said up to there.
"""

from __future__ import annotations

import argparse
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import replace
from random import Random

from tests.properties.children import Child, Request
from tests.properties.endings import answers_everybody, recovers, stops
from tests.properties.laws import NoGaps, obey_the_laws
from tests.properties.nature import Faults, Rough
from tests.properties.world import World

from tamago.cluster.events import (
    AgentRestartRequested,
    ChannelLost,
    Event,
    Failure,
    KickRequested,
    NestImported,
    ProcessBooted,
    ProcessFailed,
    ProcessHung,
    ProcessMisbehaved,
    RecycleDue,
    ReloadRequested,
    ScaleRequested,
    StartMode,
    StopRequested,
    TimePassed,
)
from tamago.cluster.policy import Policy
from tamago.cluster.states import ClusterState
from tamago.types import Role

C = ClusterState


class SimulationError(AssertionError):
    """A schedule that failed; the text is all one needs to find out why."""

    def __init__(self, seed: int, steps: int, world: World, cause: BaseException) -> None:
        lines = "\n".join(f"{now:10.4f}  {what}" for now, what in world.transcript)
        frame = traceback.extract_tb(cause.__traceback__)[-1]
        reason = f"{type(cause).__name__}: {cause}\n  in {frame.name}: {frame.line}"
        super().__init__(f"{lines}\n\n{reason}\nseed={seed} steps={steps} policy={world.policy}")
        self.seed = seed


def draw_policy(rng: Random) -> Policy:
    """Return a small cluster with short or long timeouts."""
    return Policy(
        workers=rng.randint(1, 4),
        agent=rng.random() < 0.8,
        boot_timeout=rng.choice((3.0, 10.0, 60.0)),
        stop_timeout=rng.choice((0.0, 2.0, 10.0, 30.0)),
        drain_delay=rng.choice((0.0, 0.0, 5.0)),
        reload_batch=rng.randint(1, 3),
        max_restarts=rng.choice((0, 0, 0, 5)),
        max_restarts_period=rng.choice((1.0, 60.0)),
    )


class Schedule:
    """One run: chaos for a number of steps, then calm, in which everything must recover, then a stop, which must end."""

    def __init__(self, seed: int) -> None:
        self.rng = rng = Random(seed)
        self.policy = draw_policy(rng)
        self.faults = Faults.drawn(rng) if rng.random() < 0.8 else Faults()
        self.nature = Rough(rng, self.faults, self.policy.boot_timeout, self.policy.stop_timeout, spawns=rng.random() < 0.2)
        self.world = World(self.policy, self.nature, random=rng.random)
        self.world.after_each.append(obey_the_laws)
        if self.faults.are_none:
            self.world.after_each.append(NoGaps())
        self.asks = rng.choice((0.0, 0.02, 0.1))
        self.stops = rng.choice((0.0, 0.0, 0.0, 0.005, 0.02))

    def run(self, steps: int) -> None:
        """Do all of it."""
        if self.rng.random() < 0.15:
            self.world.start()
        else:
            self._start_in_peace()
        for _ in range(steps):
            if self.world.exit is not None:
                return
            self._disturb()
            self._pass()
        if self.rng.random() < 0.1 and not self.faults.are_none:
            despair = self.rng.choice(("boot_fails", "hangs_in_boot", "fork_fails", "nest_stalls"))
            self.nature.faults = replace(Faults(), **{despair: 1.0})
            answers_everybody(self.world, self.policy)
        self.nature.calm()
        recovers(self.world, self.policy)
        stops(self.world, self.policy, now=self.rng.random() < 0.3)

    def _start_in_peace(self) -> None:
        # Most of what is interesting comes after READY, and few rough starts get there.
        self.nature.calm()
        self.world.start()
        assert self.world.run(3 * self.policy.boot_timeout, until=lambda: self.world.state is C.READY)
        self.nature.faults = self.faults

    def _pass(self) -> None:
        # When nothing is due, or for once, time passes without anything.
        if not self.world.step() or self.rng.random() < 0.02:
            self.world.run(self.rng.choice((0.001, 0.1, 1.0, 10.0, 100.0)))

    # ── chaos ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _disturb(self) -> None:
        faults, draw = self.faults, self.rng.random
        for chance, act in (
            (faults.dies, lambda: self._kill(Role.AGENT, Role.WORKER)),
            (faults.nest_dies, lambda: self._kill(Role.NEST)),
            (faults.hangs, lambda: self._about_somebody(lambda child: ProcessHung(process=child.peer, seconds=31.0))),
            (faults.lies, lambda: self._about_somebody(self.rng.choice(LIES))),
            (faults.sleeps, lambda: self.world.sleep(self.rng.choice((0.5, 5.0, 60.0, 3600.0)))),
            (self.asks, lambda: self.world.ask(self._draw_request())),
            (self.asks, lambda: self._about_somebody(lambda child: RecycleDue(process=child.peer, reason="10000 requests"))),
            (self.stops, lambda: self.world.ask(StopRequested(now=draw() < 0.2, timeout=self.policy.stop_timeout / 2))),
            (0.02, lambda: self.world.tell(TimePassed())),
            (self.asks / 4, self._change_settings),
        ):
            if draw() < chance:
                act()

    def _change_settings(self) -> None:
        # As after a reload: other timeouts, never longer ones, so that the bounds below hold.
        if self.world.state is not C.READY:
            return
        policy = replace(self.policy, boot_timeout=self.policy.boot_timeout / 2, reload_batch=self.rng.randint(1, 3))
        self.world.use(policy)

    def _kill(self, *roles: Role) -> None:
        if victims := [child for child in self.world.alive() if child.role in roles]:
            self.world.kill(self.rng.choice(victims), status=self.rng.choice((-9, -11, 0, 1)))

    def _about_somebody(self, say: Callable[[Child], Event]) -> None:
        # Also about who is dead: that somebody else knows it is no reason for a message not to be on its way.
        if known := [child for child in self.world.children.values() if child.forked and (child.alive or self.rng.random() < 0.1)]:
            self.world.tell(say(self.rng.choice(known)))

    def _draw_request(self) -> Request:
        rng = self.rng
        return rng.choice(
            (
                ReloadRequested(workers=rng.choice((0, 0, 0, 1, 3))),
                ReloadRequested(),
                ScaleRequested(workers=rng.choice((1, 2, 5))),
                ScaleRequested(workers=rng.choice((-1, 1, -9)), relative=True),
                KickRequested(slot=rng.randint(1, 5)),
                AgentRestartRequested(),
            )
        )


# Said of a process, whatever it is and does.
LIES: tuple[Callable[[Child], Event], ...] = (
    lambda child: ProcessBooted(process=child.peer),
    lambda child: NestImported(process=child.peer, mode=StartMode.FORK),
    lambda child: ProcessFailed(process=child.peer, failure=Failure(problem="it says that it failed")),
    lambda child: ProcessMisbehaved(process=child.peer, reason="sent garbage"),
    lambda child: ChannelLost(process=child.peer),
)


def simulate(seed: int, steps: int) -> World:
    """Run one schedule; raise `SimulationError` with all that was said if a law is broken."""
    schedule = Schedule(seed)
    try:
        schedule.run(steps)
    except Exception as error:
        raise SimulationError(seed, steps, schedule.world, error) from error
    return schedule.world


def shortest(seed: int, steps: int) -> SimulationError | None:
    """Return the failure of this seed that takes the fewest steps, or None if it does not fail."""
    for fewer in range(steps + 1):
        try:
            simulate(seed, fewer)
        except SimulationError as error:
            return error
    return None


def main() -> int:
    """Simulate; return the exit code."""
    parser = argparse.ArgumentParser(description="Run the supervisor through random fault schedules.")
    parser.add_argument("--schedules", type=int, default=2_000, help="how many (2000)")
    parser.add_argument("--steps", type=int, default=120, help="how many steps each, before the calm and the stop (120)")
    parser.add_argument("--seed", type=int, default=0, help="the first seed (0)")
    parser.add_argument("--seconds", type=float, default=3600.0, help="begin no further schedule after this time (3600)")
    arguments = parser.parse_args()
    begin, done = time.monotonic(), 0
    for seed in range(arguments.seed, arguments.seed + arguments.schedules):
        if time.monotonic() - begin > arguments.seconds:
            break
        try:
            simulate(seed, arguments.steps)
        except SimulationError as error:
            print(shortest(seed, arguments.steps) or error)
            return 1
        done += 1
    print(f"{done} schedules, no failure, {time.monotonic() - begin:.1f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
