"""What master and children say to each other about the cluster itself, as msgspec structs in CONTROL frames.

Every struct is tagged, so a body that is none of these, or has a wrong type in it, is refused by the decoder with a
`msgspec.ValidationError`: the master trusts no child.
"""

from __future__ import annotations

from typing import Final

import msgspec

from tamago.types import TimedStep

PROTOCOL_VERSION = 2
LONGEST_CONTROL: Final = 1024 * 1024
"""Bytes of what a child says of itself. Whoever says more would keep the master from everybody else: 14 MiB took it 4 s to write down."""


class _Message(msgspec.Struct, frozen=True, tag=True, kw_only=True, forbid_unknown_fields=True):
    """Base: tagged with its class name."""


# ── master → child ───────────────────────────────────────────────────────────────────────────────────────────────────


class Tls(_Message, frozen=True):
    """Where certificates and keys are, as the settings `ssl_*` say it. `password` is the one secret that ever travels here."""

    certificates: tuple[str, ...]
    keys: tuple[str, ...] = ()
    password: str = ""
    password_file: str = ""
    client_ca: str = ""
    client_certificate: str = "none"

    def __repr__(self) -> str:
        return "Tls(...)"  # whoever logs a message must not log the password


class Boot(_Message, frozen=True):
    """The first frame a process gets: who it is and what to run.

    `role` is "nest", "agent" or "worker"; `peer` its incarnation; `row` its row in the scoreboard (-1: none).
    `target` holds the fields of `TargetSpec`, `options` those of `ServerOptions`; `listeners` counts the listening sockets among the
    descriptors that come with the frame, which are, in order: the scoreboard, then the listeners. `sticky`: nobody else accepts from them.
    `secure` says of each listener whether it speaks TLS; `tls` is None if none of the cluster does.
    """

    role: str
    slot: int
    generation: int
    peer: int
    master_pid: int
    title: str
    env: str
    target: dict[str, str | None]
    options: dict[str, object]
    row: int = -1
    rows: int = 0
    listeners: int = 0
    sticky: bool = False
    secure: tuple[bool, ...] = ()
    tls: Tls | None = None
    stop_timeout: float = 30.0
    drain_delay: float = 0.0
    max_requests: int = 0
    log_level: str = "INFO"
    stdout: str = ""
    stderr: str = ""
    run_as: tuple[int, int] | None = None
    umask: int | None = None


class Fork(_Message, frozen=True):
    """To the nest: fork a child with this `Boot`. Descriptors: the child's channel, the scoreboard, the listeners."""

    boot: Boot


class Watch(_Message, frozen=True):
    """To the nest: one more process to end should the master die; its pidfd comes with the frame."""

    pid: int


class Ready(_Message, frozen=True):
    """The cluster is ready (told once to each process)."""


class Drain(_Message, frozen=True):
    """Finish what is in flight and exit 0. `closing`: the whole cluster stops, so empty the accept queue first."""

    closing: bool


class Peers(_Message, frozen=True):
    """Who is ready now, as (role, slot, generation, pid, peer)."""

    peers: list[tuple[str, int, int, int, int]]


class Undelivered(_Message, frozen=True):
    """A message of yours could not be delivered. `request` is the seq of the request, or 0 for a plain message."""

    request: int
    reason: str
    count: int = 1


class Reopen(_Message, frozen=True):
    """Reopen the log files. Descriptors: the new ones, for who runs as another user and may not open them; else none."""


# ── child → master ───────────────────────────────────────────────────────────────────────────────────────────────────


class Hello(_Message, frozen=True):
    """The child runs our code: its protocol version and pid."""

    version: int
    pid: int


class Imported(_Message, frozen=True):
    """From the nest: the target is imported. `mode` is "fork", or "spawn" because of the `threads` it names."""

    mode: str
    threads: list[str]
    seconds: float
    sockets: list[str] = []


class Forked(_Message, frozen=True):
    """From the nest: the child of that peer id has this pid; 0 when the fork failed, for `error`.

    `hint` is what to do, "" if unknown; `detail` the user's traceback if it was their code.
    """

    peer: int
    pid: int
    error: str = ""
    hint: str = ""
    detail: str = ""


class Booted(_Message, frozen=True):
    """The agent booted, or the worker serves. `phases` are (name, seconds) in order, for the trace."""

    phases: list[tuple[str, float]]


class Timed(_Message, frozen=True):
    """What the start of this process spent its time on, for the trace: the slowest `steps`; `left_out` counts the others."""

    steps: list[TimedStep]
    left_out: int = 0


class Failed(_Message, frozen=True):
    """The boot failed; the process exits right after. `problem` and `hint` for people; `detail` is the user's traceback."""

    problem: str
    hint: str = ""
    detail: str = ""


ToChild = Boot | Fork | Watch | Ready | Drain | Peers | Undelivered | Reopen
FromChild = Hello | Imported | Forked | Booted | Timed | Failed
