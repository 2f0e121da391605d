"""How every story must end, whatever happened: the cluster recovers once nothing new goes wrong, answers who asked, and stops.

Each takes bounded simulated time. `policy` is the one with the longest timeouts the cluster had.
"""

from __future__ import annotations

from tests.properties.world import World

from tamago.cluster.events import StopRequested
from tamago.cluster.policy import CHANNEL_GRACE, DUMP_GRACE, FORK_PATIENCE, KILL_PATIENCE, LONGEST_PAUSE, NEST_PATIENCE, Policy
from tamago.cluster.states import ClusterState, ProcessState
from tamago.types import Role

# What a process needs to be gone once its end is decided: the dump, the closed channel, SIGKILL at work.
END = DUMP_GRACE + CHANNEL_GRACE + KILL_PATIENCE


def is_whole(world: World) -> bool:
    """Whether everybody is there and ready, and nobody comes, goes or waits."""
    supervisor = world.supervisor
    return (
        supervisor.state is ClusterState.READY
        and not supervisor.degraded
        and not world.pending
        and not any(seat.renew or seat.successor for seat in supervisor.seats)
        and all(process.state is ProcessState.READY for process in supervisor.processes.values())
    )


def recovery_bound(world: World, policy: Policy) -> float:
    """Return how long a recovery may take, in seconds."""
    # Who hangs now, hangs; after that everybody boots. A reload that was asked for may come after the one that runs, and in each
    # reload every slot may wait for the one before it.
    once = FORK_PATIENCE + policy.boot_timeout + LONGEST_PAUSE + policy.stop_timeout + END
    return 3 * once + (world.supervisor.slots + 9) * (policy.stop_timeout + END)


def answers_everybody(world: World, policy: Policy) -> None:
    """Everybody who asked for something is answered, even if nothing works any more."""
    bound = recovery_bound(world, policy)
    assert world.run(bound, until=lambda: not world.pending), f"no answer within {bound} s: {world.pending}"


def recovers(world: World, policy: Policy) -> None:
    """A cluster that is up gets whole again, and stays so."""

    def is_done() -> bool:
        return world.exit is not None or is_whole(world)

    if world.state is ClusterState.STOPPING:
        return
    supervisor, bound = world.supervisor, recovery_bound(world, policy)
    assert world.run(bound, until=is_done), f"no recovery within {bound} s: {world.pending} {[*supervisor.processes.values()]}"
    world.run(LONGEST_PAUSE + END)
    assert is_done(), "it was whole and is not any more, though nothing happened"
    if world.exit is not None:
        return  # the start failed, or a death was one too many for --max-restarts
    roles = [process.role for process in supervisor.processes.values()]
    assert (roles.count(Role.NEST), roles.count(Role.AGENT)) == (1, int(policy.agent))
    assert roles.count(Role.WORKER) == supervisor.slots == world.slots
    assert all(process.ready_told for process in supervisor.processes.values() if process.role is not Role.NEST)


def stops(world: World, policy: Policy, *, now: bool = False) -> None:
    """A stop ends with Exit: after the delay, the time for workers, for the agent and for the nest; `now`: after SIGKILL has worked."""
    if now or world.state is not ClusterState.STOPPING:
        world.ask(StopRequested(now=now))
    # A nest that does not answer holds up whoever was asked of it.
    bound = FORK_PATIENCE + (END if now else policy.drain_delay + 2 * (policy.stop_timeout + END) + NEST_PATIENCE + END)
    assert world.run(bound, until=lambda: world.exit is not None), f"no stop within {bound} s"
