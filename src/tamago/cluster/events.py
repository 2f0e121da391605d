"""What happens to a cluster (events, past facts) and what must be done about it (commands, imperatives).

`process` is always the peer id of one incarnation: it is never reused, so an event that comes late names nobody else.
`request` identifies who asked (a control client, a caller of `Cluster`); 0 when nobody waits for the answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from tamago.cluster.states import ClusterState
from tamago.types import Role


class StartMode(Enum):
    """How the processes of a generation come to be."""

    FORK = "fork"
    SPAWN = "spawn"


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why something failed, for people: one sentence, what to do, and the user's own traceback if there is one."""

    problem: str
    hint: str = ""
    detail: str = ""


# ── events ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True, kw_only=True)
class StartRequested:
    """Begin. The sockets are bound and the title is locked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessForked:
    """The process exists and has this pid."""

    process: int
    pid: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ForkFailed:
    """There is no process: the kernel or the application refused, or its nest is gone (`nest_lost`).

    `hint` "" is the kernel's; `detail` is the user's traceback.
    """

    process: int
    reason: str
    hint: str = ""
    detail: str = ""
    nest_lost: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class NestImported:
    """The nest imported the target and can start processes in this way."""

    process: int
    mode: StartMode


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessBooted:
    """The agent booted, or the worker serves."""

    process: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessFailed:
    """A booting process told why it cannot boot; its exit follows."""

    process: int
    failure: Failure


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessExited:
    """It was reaped. `status` is the exit code, negative for a signal."""

    process: int
    status: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessHung:
    """Its heartbeat is older than the hang timeout, or all its threads have been busy for that long."""

    process: int
    seconds: float
    what: str = "event loop"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessMisbehaved:
    """It sent what no process of ours sends."""

    process: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelLost:
    """Its end of the channel is closed; it is about to exit, or it is of no use."""

    process: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RecycleDue:
    """The worker served, lived or grew as much as it may."""

    process: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TimePassed:
    """`Supervisor.next_deadline` was reached."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReloadRequested:
    """Replace everything by a new generation. `workers` is the new number of slots (0: as it is)."""

    request: int = 0
    workers: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ScaleRequested:
    """Have this many slots; `relative` adds to what there is (never below one)."""

    workers: int
    relative: bool = False
    request: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class KickRequested:
    """Replace the worker in this slot."""

    slot: int
    request: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentRestartRequested:
    """Replace the agent."""

    request: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class StopRequested:
    """Stop everything; asked again, or with `now`: at once. `timeout` (seconds) takes the place of the policy's stop timeout."""

    request: int = 0
    now: bool = False
    timeout: float | None = None
    cause: str = ""


ProcessEvent = (
    ProcessForked
    | ForkFailed
    | NestImported
    | ProcessBooted
    | ProcessFailed
    | ProcessExited
    | ProcessHung
    | ProcessMisbehaved
    | ChannelLost
    | RecycleDue
)
"""What happened to one process."""

Event = (
    StartRequested | ProcessEvent | TimePassed | ReloadRequested | ScaleRequested | KickRequested | AgentRestartRequested | StopRequested
)

# ── commands ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True, kw_only=True)
class StartNest:
    """Start the nest of this generation (ProcessForked follows, then NestImported)."""

    process: int
    generation: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Fork:
    """Start a process in the mode of its generation; ProcessForked or ForkFailed follows, exactly one of them."""

    process: int
    role: Role
    slot: int
    generation: int
    nest: int
    mode: StartMode


@dataclass(frozen=True, slots=True, kw_only=True)
class Activate:
    """From now the messages for its seat (the agent, or its slot) go to this process."""

    process: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TellReady:
    """Tell the process that the cluster is ready. Once in its life."""

    process: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CloseListeners:
    """Close the master's own copies of the listening sockets; the draining workers close the last ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drain:
    """Ask a ready process to finish and exit. `closing`: the whole cluster stops."""

    process: int
    closing: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Terminate:
    """SIGTERM: for a nest, and for who is not ready yet."""

    process: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DumpStacks:
    """Have the process write all its Python stacks to the log, also while its loop is blocked."""

    process: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Kill:
    """SIGKILL, descendants included."""

    process: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SetSlots:
    """There are now slots 1..count."""

    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EnterState:
    """The cluster's state changed."""

    state: ClusterState


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Write a line to the log. `failure` carries the user's traceback, if any."""

    level: str
    text: str
    failure: Failure | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Answer a request: it is done (`failure` is None), or it is not, and why."""

    request: int
    text: str
    failure: Failure | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Exit:
    """Everything is gone; the master may leave with this code. `killed` counts who had to be killed."""

    code: int
    killed: int
    failure: Failure | None = None


Command = (
    StartNest
    | Fork
    | Activate
    | TellReady
    | CloseListeners
    | Drain
    | Terminate
    | DumpStacks
    | Kill
    | SetSlots
    | EnterState
    | Report
    | Answer
    | Exit
)
