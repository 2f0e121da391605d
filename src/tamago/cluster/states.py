"""The life of a process and of the cluster: two enums and one transition table each.

Everything that may follow from a state is in these tables; a step with no cell raises `IllegalTransitionError`. The
diagrams of the documentation are drawn from them.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from types import MappingProxyType
from typing import Final, TypeVar


class ProcessState(Enum):
    """Where one process (one incarnation, not the slot it sits in) is in its life."""

    WAITING = "waiting"  # decided, not asked for yet: a pause after a death, or its nest is not there
    FORKING = "forking"  # asked for; no pid known
    BOOTING = "booting"  # it has a pid and starts up
    READY = "ready"
    DRAINING = "draining"  # told to leave; finishes what is in flight
    KILLING = "killing"  # its end is decided and does not depend on it
    GONE = "gone"


class ProcessStep(Enum):
    """What can happen to a process."""

    FORK = "fork"
    FORKED = "forked"
    FORK_FAILED = "fork failed"
    BOOTED = "booted"
    DISMISS = "dismiss"  # not wanted any more, and there is nothing yet that could drain
    DRAIN = "drain"
    KILL = "kill"
    EXIT = "exit"


class ClusterState(Enum):
    """Where the whole cluster is."""

    STARTING = "starting"
    READY = "ready"
    RELOADING = "reloading"
    STOPPING = "stopping"
    STOPPED = "stopped"


class ClusterStep(Enum):
    """What can happen to the cluster."""

    ALL_READY = "all ready"
    RELOAD = "reload"
    RELOADED = "reloaded"
    ROLLED_BACK = "rolled back"
    STOP = "stop"
    ALL_GONE = "all gone"


P, S = ProcessState, ProcessStep

PROCESS_TRANSITIONS: Final[Mapping[ProcessState, Mapping[ProcessStep, ProcessState]]] = MappingProxyType(
    {
        P.WAITING: {S.FORK: P.FORKING, S.DISMISS: P.GONE},
        # A fork that was asked for cannot be called back: who is not wanted any more is ended as soon as its pid is known.
        P.FORKING: {S.FORKED: P.BOOTING, S.FORK_FAILED: P.WAITING, S.DISMISS: P.KILLING, S.KILL: P.KILLING},
        P.BOOTING: {S.BOOTED: P.READY, S.DRAIN: P.DRAINING, S.KILL: P.KILLING, S.EXIT: P.GONE},
        P.READY: {S.DRAIN: P.DRAINING, S.KILL: P.KILLING, S.EXIT: P.GONE},
        # A slow process may report that it booted after it was told to leave.
        P.DRAINING: {S.BOOTED: P.DRAINING, S.KILL: P.KILLING, S.EXIT: P.GONE},
        P.KILLING: {S.FORKED: P.KILLING, S.FORK_FAILED: P.GONE, S.BOOTED: P.KILLING, S.KILL: P.KILLING, S.EXIT: P.GONE},
        P.GONE: {},
    }
)

C, T = ClusterState, ClusterStep

CLUSTER_TRANSITIONS: Final[Mapping[ClusterState, Mapping[ClusterStep, ClusterState]]] = MappingProxyType(
    {
        C.STARTING: {T.ALL_READY: C.READY, T.STOP: C.STOPPING},
        C.READY: {T.RELOAD: C.RELOADING, T.STOP: C.STOPPING},
        C.RELOADING: {T.RELOADED: C.READY, T.ROLLED_BACK: C.READY, T.STOP: C.STOPPING},
        # A second stop means "now".
        C.STOPPING: {T.STOP: C.STOPPING, T.ALL_GONE: C.STOPPED},
        C.STOPPED: {},
    }
)


class IllegalTransitionError(Exception):
    """A bug of ours: a step happened in a state whose row has no cell for it."""

    def __init__(self, state: Enum, step: Enum) -> None:
        super().__init__(f"{type(state).__name__} {state.value!r} has no transition for {step.value!r}")
        self.state = state
        self.step = step


_State = TypeVar("_State", bound=Enum)
_Step = TypeVar("_Step", bound=Enum)


def advance(table: Mapping[_State, Mapping[_Step, _State]], state: _State, step: _Step) -> _State:
    """Return the state that follows, or raise `IllegalTransitionError`."""
    try:
        return table[state][step]
    except KeyError:
        raise IllegalTransitionError(state, step) from None
