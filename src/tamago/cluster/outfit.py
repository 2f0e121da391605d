"""Who a child of the cluster is, and what it is started with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from tamago.cluster.settings import Settings
from tamago.cluster.sockets import Listener
from tamago.ipc.control_messages import Boot
from tamago.ipc.master_channel import MasterChannel
from tamago.types import Role, TargetSpec


@dataclass(slots=True, kw_only=True)
class Member:
    """What the master keeps of one process. `row` is -1 for a nest; `nest` the peer it was asked of, until it is there."""

    peer: int
    role: Role
    slot: int
    generation: int
    channel: MasterChannel
    row: int = -1
    pid: int = 0
    asked_of: int = 0


@dataclass(slots=True, kw_only=True)
class Outfit:
    """What children are started with. A reload replaces settings and target; the rest stays."""

    settings: Settings
    target: TargetSpec
    listeners: Sequence[Listener]
    title: str
    master_pid: int
    run_as: tuple[int, int] | None
    stdout: str = ""
    stderr: str = ""

    def listeners_of(self, member: Member) -> Sequence[Listener]:
        """Return where a process accepts."""
        return self.listeners if member.role is Role.WORKER else ()

    def boot(self, member: Member, *, rows: int) -> Boot:
        """Return what a process is told when it begins; `rows` is the size of the scoreboard."""
        settings = self.settings
        listeners = self.listeners_of(member)
        return Boot(
            role=member.role.value,
            slot=member.slot,
            generation=member.generation,
            peer=member.peer,
            master_pid=self.master_pid,
            title=self.title,
            env=settings.env,
            target=asdict(self.target),
            options=asdict(settings.server_options()),
            row=member.row,
            rows=rows,
            listeners=len(listeners),
            sticky=settings.sticky,
            secure=tuple(listener.tls for listener in listeners),
            tls=settings.tls_files(),
            stop_timeout=settings.stop_timeout,
            log_level=settings.log_level.upper(),
            stdout=self.stdout,
            stderr=self.stderr,
            run_as=self.run_as,
            umask=settings.umask,
        )
