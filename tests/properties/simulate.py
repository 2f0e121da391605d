"""Runs the supervisor through random fault schedules: `python -m tests.properties.simulate --schedules 100000`.

A schedule is its seed. A failure prints the seed, the fewest steps that still fail, and everything that was said up to there.
"""

from __future__ import annotations

import argparse
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import replace
from random import Random

from tests.properties.laws import NoGaps, answers_are_true, obey_the_laws
from tests.properties.nature import Faults, Rough
from tests.properties.world import Child, Request, World

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
from tamago.cluster.policy import CHANNEL_GRACE, DUMP_GRACE, FORK_PATIENCE, KILL_PATIENCE, LONGEST_PAUSE, NEST_PATIENCE, Policy
from tamago.cluster.states import ClusterState, ProcessState
from tamago.types import Role

C = ClusterState
# What a process needs to be gone once its end is decided: the dump, the closed channel, SIGKILL at work.
END = DUMP_GRACE + CHANNEL_GRACE + KILL_PATIENCE


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
        self.world.after_each.append(answers_are_true)
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
            self._despair()
        self.nature.calm()
        if self.world.state is not C.STOPPING:
            self._recover()
        self._stop()

    def _start_in_peace(self) -> None:
        # Most of what is interesting comes after READY, and few rough starts get there.
        self.nature.calm()
        self.world.start()
        assert self.world.run(self.policy.boot_timeout, until=lambda: self.world.state is C.READY)
        self.nature.faults = self.faults

    def _pass(self) -> None:
        # When nothing is due, or for once, time passes without anything.
        if not self.world.step() or self.rng.random() < 0.02:
            self.world.run(self.rng.choice((0.001, 0.1, 1.0, 10.0, 100.0)))

    # ── chaos ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _disturb(self) -> None:
        rng, faults = self.rng, self.faults
        if rng.random() < faults.dies:
            self._kill(Role.AGENT, Role.WORKER)
        if rng.random() < faults.nest_dies:
            self._kill(Role.NEST)
        if rng.random() < faults.hangs:
            self._about_somebody(lambda child: ProcessHung(process=child.peer, seconds=31.0))
        if rng.random() < faults.lies:
            self._about_somebody(rng.choice(LIES))
        if rng.random() < faults.sleeps:
            self.world.sleep(rng.choice((0.5, 5.0, 60.0, 3600.0)))
        if rng.random() < self.asks:
            self.world.ask(self._draw_request())
        if rng.random() < self.stops:
            self.world.ask(StopRequested(now=rng.random() < 0.2))
        if rng.random() < 0.02:
            self.world.tell(TimePassed())
        if rng.random() < self.asks:
            self._about_somebody(lambda child: RecycleDue(process=child.peer, reason="10000 requests"))

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

    # ── calm ─────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _recovery_bound(self) -> float:
        # Who hangs now, hangs; after that everybody boots. A reload that was asked for may come after the one that runs.
        boot, stop = self.policy.boot_timeout, self.policy.stop_timeout
        once = FORK_PATIENCE + boot + LONGEST_PAUSE + stop + END
        return 3 * once + (self.world.supervisor.slots + 9) * (stop + END)

    def _despair(self) -> None:
        """From now on nobody boots, for ever: who asked for something is told so."""
        self.nature.faults = replace(Faults(), **{self.rng.choice(("boot_fails", "hangs_in_boot", "fork_fails", "nest_stalls")): 1.0})
        bound = self._recovery_bound()
        assert self.world.run(bound, until=lambda: not self.world.pending), f"no answer within {bound} s: {self.world.pending}"

    def _recover(self) -> None:
        world, supervisor, bound = self.world, self.world.supervisor, self._recovery_bound()

        def whole() -> bool:
            return world.exit is not None or (
                supervisor.state is C.READY
                and not supervisor.degraded
                and not world.pending
                and not any(seat.renew or seat.successor for seat in supervisor.seats)
                and all(process.state is ProcessState.READY for process in supervisor.processes.values())
            )

        assert world.run(bound, until=whole), (
            f"no recovery within {bound} s: requests {world.pending} {list(supervisor.processes.values())}"
        )
        if world.exit is not None:
            return
        world.run(LONGEST_PAUSE + END)
        assert whole(), "it was whole and is not any more, though nothing happened"
        if world.exit is not None:
            return  # a death before the calm was one too many for --max-restarts
        roles = [process.role for process in supervisor.processes.values()]
        assert (roles.count(Role.NEST), roles.count(Role.AGENT)) == (1, int(self.policy.agent))
        assert roles.count(Role.WORKER) == supervisor.slots == world.slots

    def _stop(self) -> None:
        world, policy = self.world, self.policy
        now = self.rng.random() < 0.3
        if world.exit is None and (now or world.state is not C.STOPPING):
            world.ask(StopRequested(now=now))
        # Workers, agent, nest: one after the other.
        bound = END if now else policy.drain_delay + 2 * (policy.stop_timeout + END) + NEST_PATIENCE + END
        bound += FORK_PATIENCE
        assert world.run(bound, until=lambda: world.exit is not None), f"no stop within {bound} s"


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


def failures(seeds: Iterator[int], steps: int) -> Iterator[SimulationError]:
    """Yield the failures of many schedules, each as short as it gets."""
    for seed in seeds:
        try:
            simulate(seed, steps)
        except SimulationError as error:
            yield shortest(seed, steps) or error


def main() -> int:
    """Simulate; return the exit code."""
    parser = argparse.ArgumentParser(description="Run the supervisor through random fault schedules.")
    parser.add_argument("--schedules", type=int, default=2_000, help="how many (2000)")
    parser.add_argument("--steps", type=int, default=120, help="how many steps each, before the calm and the stop (120)")
    parser.add_argument("--seed", type=int, default=0, help="the first seed (0)")
    parser.add_argument("--seconds", type=float, default=3600.0, help="begin no further schedule after this time (3600)")
    arguments = parser.parse_args()
    begin = time.monotonic()

    def seeds() -> Iterator[int]:
        for seed in range(arguments.seed, arguments.seed + arguments.schedules):
            if time.monotonic() - begin > arguments.seconds:
                return
            yield seed
            seeds.done += 1  # type: ignore[attr-defined]

    seeds.done = 0  # type: ignore[attr-defined]
    failure = next(failures(seeds(), arguments.steps), None)
    print(failure if failure is not None else f"{seeds.done} schedules, no failure, {time.monotonic() - begin:.1f} s")  # type: ignore[attr-defined]
    return int(failure is not None)


if __name__ == "__main__":
    sys.exit(main())
