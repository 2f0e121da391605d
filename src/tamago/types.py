"""The vocabulary the two halves share: who a process is, where a message goes, and what a target must offer.

The cluster half knows how to run processes; the server and framework half knows how to serve. They meet here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    import asyncio
    import socket
    import ssl

Json = Any
"""What travels in a message: None, bool, int, float, str, bytes, and lists and string-keyed dicts of these (msgpack without extensions)."""


class Role(Enum):
    """What a process is for."""

    MASTER = "master"
    NEST = "nest"
    AGENT = "agent"
    WORKER = "worker"


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who this process is.

    `slot` is 1..N in a worker and 0 elsewhere; `generation` counts from 1 and grows with each reload; `pid` is the process id.
    Outside a cluster: role WORKER, slot 1, generation 1, title "" (`in_cluster` is False).
    """

    role: Role
    slot: int
    generation: int
    title: str
    pid: int
    env: str = "prod"
    in_cluster: bool = True


@dataclass(frozen=True, slots=True)
class Slot:
    """The worker that sits in slot `number` now, whichever process that is."""

    number: int


@dataclass(frozen=True, slots=True)
class Pid:
    """The agent or worker with this process id; a message to it fails once that process is gone."""

    number: int


class Group(Enum):
    """Receivers that are not one named process."""

    AGENT = "agent"
    APP = "app"
    ALL = "all"
    RANDOM = "random"


Address = Slot | Pid | Group


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """One live process as `messenger.peers` shows it."""

    role: Role
    slot: int
    generation: int
    pid: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetSpec:
    """What to run: `loader` is the dotted name `module:attribute` of a `Target` factory; the rest is for that loader.

    `app` and `agent` are `module:attribute` of the hosted application and its agent; `interface` is "auto", "asgi",
    "asgi-factory", "wsgi" or "native".
    `directory` is put first on `sys.path` and is the working directory.
    """

    loader: str
    directory: str
    app: str | None = None
    agent: str | None = None
    interface: str = "auto"
    framework: str | None = None

    def __str__(self) -> str:
        return self.app or f"the application in {self.directory}"


class Meter(Protocol):
    """Where a worker's HTTP edge counts what it does; the cluster reads the figures from another process."""

    request_counts: memoryview[int]
    """How many requests have begun, and how many are over. The edge alone writes these, and by itself: a call would cost as much as twenty
    of its other steps."""

    def connection_opened(self) -> None: ...
    def connection_closed(self) -> None: ...
    def threads_all_busy(self, busy: bool) -> None:
        """Say that every thread of the pool is (or no longer is) busy, for hang detection."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerOptions:
    """What the HTTP edge needs to know; each has a setting of the same name, where units and defaults are documented."""

    limit_request_line: int = 8 * 1024
    limit_header_bytes: int = 64 * 1024
    limit_header_count: int = 100
    limit_body: int = 0  # 0: no limit
    header_timeout: float = 10.0
    body_timeout: float = 30.0
    min_rate: int = 240  # bytes a second; 0: no limit
    keep_alive: float = 75.0
    limit_in_flight: int = 0  # 0: no limit; else 503 with Retry-After
    limit_pipeline: int = 16
    linger: float = 0.25
    root_path: str = ""
    pathsend: bool = True
    cancel_on_disconnect: bool = False
    access_log: bool = False
    access_log_file: str = ""  # "": standard output
    access_log_format: str = "combined"
    request_id: bool = False
    trusted_proxies: tuple[str, ...] = ()
    proxy_protocol: bool = False
    threads: int = 8
    ws_max_size: int = 16 * 1024 * 1024
    ws_ping_interval: float = 20.0  # 0: never
    ws_ping_timeout: float = 20.0  # 0: a client is never given up
    ws_per_message_deflate: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerContext:
    """What the cluster gives a worker's target.

    `accept_pause()` is asked before each accept and returns for how many seconds this worker should step back (0.0: accept now).
    `tls` has the context for each listener in order, None for one in clear; it is empty when all are.
    """

    identity: Identity
    options: ServerOptions
    meter: Meter
    accept_pause: Callable[[], float]
    tls: Sequence[ssl.SSLContext | None] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentContext:
    """What the cluster gives an agent's target."""

    identity: Identity


class Exchange(Protocol):
    """One request and its answer, as a framework sees it; the HTTP edge has it ready, and ASGI is adapted to it.

    `target` is what stood in the request line; names in `fields` are lower case. `client` is (address, port) of the client as far as
    trusted proxies vouch for it, None when it has none. `body` is None for a request without one. `gone`: nobody reads the answer any more;
    `hung_up`: the client sends nothing more, and has most likely left, but may still read.
    """

    method: str
    target: bytes
    fields: list[tuple[bytes, bytes]]
    version: str
    gone: bool
    hung_up: bool

    @property
    def body(self) -> object | None: ...
    @property
    def client(self) -> tuple[str, int] | None: ...
    @property
    def scheme(self) -> str: ...
    @property
    def root_path(self) -> str: ...

    async def read(self) -> bytes:
        """Return the next piece of the request's body, b"" at its end. Raises ConnectionError when the client left before."""

    async def wait_for_input(self) -> None:
        """Return when body arrived, the body ended, or the client left (`gone` or `hung_up`)."""

    def respond(self, status: int, fields: Iterable[tuple[bytes, bytes]], data: bytes) -> None:
        """Send a whole answer; a content-length is added unless `fields` has one."""

    def start(self, status: int, fields: Iterable[tuple[bytes, bytes]]) -> None:
        """Give status and header fields of an answer that follows in pieces."""

    def write(self, data: bytes, *, more: bool = False) -> None:
        """Send a piece of the body; the last one says `more=False`."""

    async def drain(self) -> None:
        """Wait until the client has read enough of what was written."""

    async def send_file(self, path: str) -> None:
        """After `start`: send a file as the whole body. Raises OSError for one that cannot be read."""


class TimedStep(NamedTuple):
    """One thing a start spent time on: a module, a hook. Travels and is kept as a plain list of its fields, since there are many."""

    name: str
    began: float
    """Monotonic seconds."""
    seconds: float | None
    """How long it took; None if it did not end."""
    own: float
    """The seconds of it (so far, if it did not end) that no step inside it accounts for."""

    @property
    def weight(self) -> tuple[bool, float]:
        """What the steps most worth knowing have most of: one that did not end comes before all that did."""
        return self.seconds is None, self.own


class FrameworkAgent(Protocol):
    """What a framework's `Agent` offers the cluster. Its class makes one by `Agent.load(directory, env=env)`, without an event loop."""

    def before_fork(self) -> None: ...
    def after_fork(self) -> None: ...

    async def check(self) -> None:
        """Load and check the configuration, and whatever else can be checked without opening anything; raises what is wrong."""

    async def start(self) -> None:
        """Boot; raises what failed."""

    @property
    def phases(self) -> Sequence[tuple[str, float]]:
        """What `start` spent its seconds on, in order."""

    def progress(self) -> str:
        """Say what the boot is waiting for."""

    def timed_steps(self) -> Sequence[TimedStep]:
        """Return what this process, and none it was forked from, has spent its time on so far, in the order it began."""

    async def server_ready(self) -> None:
        """The whole cluster serves. Called once."""

    async def close(self) -> None:
        """Finish."""


class FrameworkApplication(FrameworkAgent, Protocol):
    """What a framework's `Application` offers the HTTP edge beside that. It is an ASGI application, too."""

    threads_all_busy: Callable[[bool], None]
    """Set by whoever runs the process: told when every thread of the application's pool is busy, and when one is free again."""
    worker_threads: int
    """Set as well: how many threads it may have."""

    @property
    def mounts(self) -> tuple[bytes, ...]:
        """Beginnings of request targets that go by ASGI, since other people's applications answer them."""

    @property
    def handle(self) -> Callable[[Any], Awaitable[object]]:
        """A function that answers an `Exchange`. There once `start` is through, as `mounts` is."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None: ...


class WorkerRuntime(Protocol):
    """One worker's life, called in this order. Anything raised by `start` fails the boot, with its traceback."""

    async def start(self) -> None:
        """Boot: run the application's start-up (ASGI lifespan, `did_load`, `will_ready`). No request is served yet."""

    async def serve(self, listeners: Sequence[socket.socket]) -> None:
        """Begin to accept from these bound, listening, non-blocking sockets; return once accepting."""

    async def ready(self) -> None:
        """The whole cluster serves (`server_did_ready`). Called once."""

    async def drain(self, *, closing: bool) -> None:
        """Stop accepting, finish what is in flight (two stages, see DESIGN), return when no connection is left.

        `closing` is True when the whole cluster stops: first take everything that waits in the accept queue, then close the listeners.
        The cluster puts a deadline on the process from outside.
        """

    @property
    def phases(self) -> Sequence[tuple[str, float]]:
        """What `start` spent its seconds on, in order; empty where that is one piece."""

    def progress(self) -> str:
        """Say what the boot is waiting for, "" if nothing is known: for the log, when it takes too long."""

    async def stop(self) -> None:
        """Run the application's shutdown (ASGI lifespan shutdown, `before_close`)."""


class AgentRuntime(Protocol):
    """The agent's life, in this order.

    `failed`, looked at once `start` returned, is a future that gets the error of an agent that cannot go on (None: it never fails by
    itself); the process then ends and is replaced. The same happens when `ready` raises.
    """

    @property
    def failed(self) -> asyncio.Future[None] | None: ...

    async def start(self) -> None:
        """Boot (`did_load`, `will_ready`); workers boot after it. In a reload the old agent may still be active."""

    async def ready(self) -> None:
        """The cluster serves and no other agent is active (`server_did_ready`). Called once."""

    @property
    def phases(self) -> Sequence[tuple[str, float]]:
        """What `start` spent its seconds on, in order; empty where that is one piece."""

    def progress(self) -> str:
        """Say what the boot is waiting for, "" if nothing is known: for the log, when it takes too long."""

    async def stop(self) -> None:
        """Finish (`before_close`)."""


class Target(Protocol):
    """What runs inside agent and workers. Made and loaded once, in the nest (or in each process when spawned)."""

    def load(self) -> None:
        """Import everything. Runs without an event loop. Anything raised fails the boot, with its traceback."""

    def check(self) -> None:
        """Look further than `load` does for what would fail a start, without starting anything. For `tamago check`; after `load`."""

    def worker(self, context: WorkerContext) -> WorkerRuntime: ...

    def agent(self, context: AgentContext) -> AgentRuntime: ...

    def before_fork(self) -> None:
        """Called in the nest before it forks one or several processes (hosted apps: `tamago.hooks.before_fork` callbacks)."""

    def after_fork(self) -> None:
        """Called in each child first thing after the fork."""

    def timed_steps(self) -> Sequence[TimedStep]:
        """Return the steps of this process' start so far, in the order they began; none where nothing is known. After `load`."""


TargetFactory = Callable[[TargetSpec], Target]
