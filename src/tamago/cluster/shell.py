"""The master's hands: turns the supervisor's commands into system calls, and what children and kernel say into events.

It decides nothing. What it cannot do (the kernel refuses to fork) it reports as an event.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import time
from collections.abc import Callable, Sequence

from tamago.cluster import events, limits, linux
from tamago.cluster.interpreter import AHEAD, CHILD_MODULE, NEST_MODULE, EarlyNest, new_marker
from tamago.cluster.outfit import Member, Outfit
from tamago.cluster.processes import ProcessTable
from tamago.cluster.relay import Relay
from tamago.cluster.scoreboard import Scoreboard, ScoreboardFullError
from tamago.cluster.settings import MOST_WORKERS, Settings
from tamago.cluster.sticky import neighbours
from tamago.cluster.trace import Trace
from tamago.ipc.control_messages import (
    PROTOCOL_VERSION,
    Boot,
    Booted,
    Drain,
    Failed,
    Fork,
    Forked,
    FromChild,
    Hello,
    Imported,
    Peers,
    Ready,
    Reopen,
    Timed,
    ToChild,
    Watch,
)
from tamago.ipc.master_channel import MasterChannel
from tamago.types import Role

_log = logging.getLogger("tamago")

_WATCH_AGAIN = 1.0

# However few there are, they can be scaled up to this; in a reload each may have a successor and two that still finish. What was never
# claimed costs no memory and no time.
_ROWS = 4 * MOST_WORKERS + 16


class Shell:
    """Carries out commands; `emit(event)` takes what happens. `early_nest` becomes the first nest, if that is to import anything."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        outfit: Outfit,
        *,
        emit: Callable[[events.Event], None],
        trace: Trace,
        owns_process: bool,
        early_nest: EarlyNest | None = None,
    ) -> None:
        self.next_outfit = outfit
        self._outfits: dict[int, Outfit] = {}
        self.members: dict[int, Member] = {}
        self._loop = loop
        self._emit = emit
        self._trace = trace
        self._listening = True
        self._early_nest = early_nest
        marker = early_nest.marker if early_nest is not None else new_marker()
        self.table = ProcessTable(loop, marker=marker, on_exit=self._exited, owns_process=owns_process)
        self.board = Scoreboard.create(_ROWS, name=linux.memory_name(marker))
        self.relay = Relay(
            on_control=self._said, on_hostile=self._hostile, on_closed=self._lost_channel, agent=not outfit.settings.no_agent
        )

    # ── commands ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def start_nest(self, command: events.StartNest) -> None:
        """Start a nest; with preloading off it only watches. A generation keeps what it was first started with."""
        outfit = self._outfits.setdefault(command.generation, self.next_outfit)
        if not outfit.settings.preload:
            self.dismiss_early_nest()
            self._start(command.process, Role.NEST, 0, command.generation, NEST_MODULE, "watch")
        elif self._early_nest is None:
            self._start(command.process, Role.NEST, 0, command.generation, NEST_MODULE, *AHEAD)
        else:
            early, self._early_nest = self._early_nest, None
            self._start_early(command, early)

    def _start_early(self, command: events.StartNest, early: EarlyNest) -> None:
        member = self._enrol(command.process, Role.NEST, 0, command.generation, early.sock)
        member.channel.send(self._boot(member))
        member.pid = early.take()
        try:
            self.table.adopt(member.peer, member.pid)
            limits.hand_on(member.pid)  # ours may have been raised since it was started
        except ProcessLookupError as error:  # it died before it was asked anything
            self._not_born(member, error)
            return
        self._born(member)

    def dismiss_early_nest(self) -> None:
        """End the interpreter that was to become the first nest, if it is still waiting."""
        if self._early_nest is not None:
            self._early_nest.dismiss()
            self._early_nest = None

    def fork(self, command: events.Fork) -> None:
        """Have the nest fork a process, or start it ourselves where it cannot."""
        nest = self.members.get(command.nest)
        if nest is None:
            self._emit(events.ForkFailed(process=command.process, reason="its nest died", nest_lost=True))
            return
        if command.mode is events.StartMode.SPAWN:
            self._start(command.process, command.role, command.slot, command.generation, CHILD_MODULE)
            if command.process in self.members:
                self._have_watched(nest, self.members[command.process])
            return
        try:
            member, theirs = self._new_member(command.process, command.role, command.slot, command.generation)
        except (OSError, ScoreboardFullError) as error:
            self._emit(events.ForkFailed(process=command.process, reason=str(error)))
            return
        with theirs:
            try:
                self.table.fork_asked()
            except OSError as error:
                self._not_born(member, error)
                return
            try:
                nest.channel.send(Fork(boot=self._boot(member)), [theirs.fileno(), *self._descriptors(member)])
            except OSError as error:
                self.table.fork_settled()
                self._not_born(member, error)
                return
            member.asked_of = nest.peer

    def _start(self, peer: int, role: Role, slot: int, generation: int, module: str, *arguments: str) -> None:
        try:
            member, theirs = self._new_member(peer, role, slot, generation)
        except (OSError, ScoreboardFullError) as error:
            self._emit(events.ForkFailed(process=peer, reason=str(error)))
            return
        with theirs:
            try:
                # First what it is told: this can fail, and then nobody has to be called back.
                member.channel.send(self._boot(member), self._descriptors(member))
                member.pid = self.table.start(peer, module, theirs.fileno(), *arguments)
            except OSError as error:
                self._not_born(member, error)
                return
        self._born(member)

    def _not_born(self, member: Member, error: OSError) -> None:
        self._drop(member)
        self._emit(events.ForkFailed(process=member.peer, reason=str(error)))

    def _born(self, member: Member) -> None:
        self.relay.set_pid(member.peer, member.pid)
        self._trace.meet(member.peer, role=member.role, slot=member.slot, generation=member.generation, pid=member.pid)
        self._emit(events.ProcessForked(process=member.peer, pid=member.pid))

    def activate(self, peer: int) -> None:
        """Give a process its seat's messages."""
        self.relay.activate(peer)

    def tell_ready(self, peer: int) -> None:
        self._send(peer, Ready())

    def drain(self, peer: int, *, closing: bool) -> None:
        """Ask a process to finish. Its seat's messages wait for the next one from here on; what it was sent before it still reads."""
        self.relay.deactivate(peer)
        self._send(peer, Drain(closing=closing))

    def terminate(self, peer: int) -> None:
        self.relay.deactivate(peer)
        self.table.send(peer, signal.SIGTERM)

    def dump_stacks(self, peer: int) -> None:
        self.table.send(peer, linux.DUMP_SIGNAL)

    def kill(self, peer: int) -> None:
        self.relay.deactivate(peer)
        self.table.kill(peer)

    def set_slots(self, count: int) -> None:
        self.relay.set_slots(count)

    def close_listeners(self) -> None:
        """Close our copies of the sockets. As long as a draining worker has its own, who is in the queue is still answered."""
        if self._listening:
            self._listening = False
            for listener in self.next_outfit.listeners:
                listener.close()

    def publish_peers(self, active: Sequence[int]) -> None:
        """Tell every child who is up."""
        known = [self.members[peer] for peer in active if peer in self.members]
        message = Peers(peers=[(member.role.value, member.slot, member.generation, member.pid, member.peer) for member in known])
        for member in self.members.values():
            if member.role is not Role.NEST and member.pid:
                member.channel.send(message)

    def reopen_logs(self) -> None:
        """Have every child reopen its log files, after we did so. Who runs as another user may not: it is given ours."""
        for member in self.members.values():
            if not member.pid:
                continue
            outfit = self._outfits[member.generation]
            ours = [fd for fd, path in ((1, outfit.stdout), (2, outfit.stderr)) if path] if outfit.run_as is not None else []
            try:
                member.channel.send(Reopen(), ours)
            except OSError:  # no descriptor is left to send; perhaps it may open them
                member.channel.send(Reopen())

    def settings_of(self, generation: int) -> Settings:
        """Return the settings a generation was started with. Those of the next one may have been read already."""
        return self._outfits[generation].settings

    def forget_outfits(self, *, serving: int) -> None:
        """Let go of what generations were started with of whom nobody is left; the one that serves may have to be made anew."""
        needed = {serving, *(member.generation for member in self.members.values())}
        self._outfits = {number: outfit for number, outfit in self._outfits.items() if number in needed}

    def move_empty_slots(self, empty: frozenset[int]) -> None:
        """Sticky: let neighbours serve the clients of slots (from 1) that stay empty."""
        for listener in self.next_outfit.listeners:
            if listener.sticky and self._listening:
                listener.move(neighbours(len(listener.sockets), {slot - 1 for slot in empty}))

    def close(self) -> None:
        """Let go of everything; all children are gone."""
        self.close_listeners()
        for member in list(self.members.values()):
            self._drop(member)
        self.relay.close()
        self.board.close()

    # ── what children are given ──────────────────────────────────────────────────────────────────────────────────────

    def _new_member(self, peer: int, role: Role, slot: int, generation: int) -> tuple[Member, socket.socket]:
        row = -1 if role is Role.NEST else self.board.claim(peer=peer, slot=slot, generation=generation)
        try:
            ours, theirs = socket.socketpair()
        except OSError:
            if row >= 0:
                self.board.free(row)
            raise
        return self._enrol(peer, role, slot, generation, ours, row=row), theirs

    def _enrol(self, peer: int, role: Role, slot: int, generation: int, ours: socket.socket, *, row: int = -1) -> Member:
        channel = MasterChannel(ours, loop=self._loop)
        member = Member(peer=peer, role=role, slot=slot, generation=generation, channel=channel, row=row)
        self.members[peer] = member
        self.relay.attach(peer, role=role, slot=slot, generation=generation, pid=0, channel=channel)
        return member

    def _boot(self, member: Member) -> Boot:
        return self._outfits[member.generation].boot(member, rows=self.board.rows)

    def _descriptors(self, member: Member) -> list[int]:
        if member.role is Role.NEST:
            return []
        return [self.board.fd, *(listener.for_slot(member.slot).fileno() for listener in self.next_outfit.listeners_of(member))]

    def _send(self, peer: int, message: ToChild) -> None:
        if member := self.members.get(peer):  # else its end is known here and not yet decided upon
            member.channel.send(message)

    def _note(self, kind: str, peer: int, **fields: object) -> None:
        self._trace.note(kind, now=time.monotonic(), wall=time.time(), peer=peer, **fields)

    # ── what children say ────────────────────────────────────────────────────────────────────────────────────────────

    def _said(self, peer: int, message: FromChild) -> None:
        member = self.members.get(peer)
        if member is None:
            return
        match message:
            case Hello(version=version):
                self._greeted(member, version)
            case Imported():
                self._imported(member, message)
            case Forked() if member.role is Role.NEST:
                self._forked(member, message)
            case Booted(phases=phases):
                self._note("booted", peer, phases=phases)
                self._emit(events.ProcessBooted(process=peer))
            case Timed(steps=steps, left_out=left_out):
                self._note("timed", peer, steps=steps, left_out=left_out)
            case Failed():
                failure = events.Failure(problem=message.problem, hint=message.hint, detail=message.detail)
                self._emit(events.ProcessFailed(process=peer, failure=failure))
            case _:
                self._hostile(peer, f"a {member.role.value} does not say {type(message).__name__}")

    def _greeted(self, member: Member, version: int) -> None:
        if version != PROTOCOL_VERSION:
            problem = f"{member.role.value} speaks protocol version {version}, the master {PROTOCOL_VERSION}"
            hint = "tamago was upgraded under a running master: stop and start it"
            self._emit(events.ProcessFailed(process=member.peer, failure=events.Failure(problem=problem, hint=hint)))
            self._emit(events.ProcessMisbehaved(process=member.peer, reason=problem))
            return
        self._note("hello", member.peer)
        if member.role is Role.NEST and not self._outfits[member.generation].settings.preload:
            self._watch_everybody(member)
            self._emit(events.NestImported(process=member.peer, mode=events.StartMode.SPAWN))

    def _imported(self, nest: Member, message: Imported) -> None:
        if nest.role is not Role.NEST or message.mode not in {"fork", "spawn"}:
            self._hostile(nest.peer, "only a nest imports")
            return
        self._note("imported", nest.peer, seconds=message.seconds, threads=message.threads)
        if message.threads:
            names = ", ".join(message.threads)
            _log.warning("the application started threads while it was imported (%s): a fork would lose them", names)
            _log.warning("so each process imports it anew; start them in a start-up hook to get fast starts and shared memory back")
            # It became a nest that only watches, by exec, and has forgotten who it is.
            nest.channel.send(self._boot(nest))
        for description in message.sockets:
            _log.warning("the application opened a connection while it was imported (%s): every process shares it", description)
            _log.warning("open it in a start-up hook instead, so that each process has its own")
        self._watch_everybody(nest)
        self._emit(events.NestImported(process=nest.peer, mode=events.StartMode(message.mode)))

    def _watch_everybody(self, nest: Member) -> None:
        """Make a new nest the undertaker of everybody there is, also of whom another one started: that one may go first."""
        for member in self.members.values():
            if member.role is not Role.NEST and member.pid:
                self._have_watched(nest, member)

    def _see_to_undertakers(self) -> None:
        """Have the newest nest watch those whose generation has none any more: they finish, after a reload or one that was rolled back.

        It knows most of them; not those that were started after it was.
        """
        nests = [member for member in self.members.values() if member.role is Role.NEST]
        heir = next((nest for nest in reversed(nests) if nest.pid), None)
        if heir is None:
            return
        watched = {nest.generation for nest in nests}
        for member in self.members.values():
            if member.pid and member.generation not in watched:
                self._have_watched(heir, member)

    def _have_watched(self, nest: Member, member: Member) -> None:
        if member.peer in self.table and (pidfd := self.table.pidfd_of(member.peer)) >= 0:
            try:
                nest.channel.send(Watch(pid=member.pid), [pidfd])
            except OSError:  # no descriptor is left; until there is one the process is watched by us alone
                self._loop.call_later(_WATCH_AGAIN, self._have_watched, nest, member)

    def _forked(self, nest: Member, answer: Forked) -> None:
        peer, pid = answer.peer, answer.pid
        member = self.members.get(peer)
        if member is None or member.asked_of != nest.peer:
            self._hostile(nest.peer, "it names a fork nobody asked for")
            return
        if pid and not self.table.may_adopt(pid):
            # It runs the application's code: whom it may have us signal is not its to choose. With its end the fork has failed.
            self._hostile(nest.peer, f"it names process {pid}, which it did not fork")
            return
        member.asked_of = 0
        if not pid:
            self._drop(member)
            self.table.fork_settled()
            self._emit(events.ForkFailed(process=peer, reason=answer.error, hint=answer.hint, detail=answer.detail))
            return
        member.pid = pid
        self.table.adopt(peer, pid)
        self._born(member)
        self.table.fork_settled()

    def _hostile(self, peer: int, reason: str) -> None:
        _log.error("peer %d: %s", peer, reason)
        self._emit(events.ProcessMisbehaved(process=peer, reason=reason))

    def _lost_channel(self, peer: int) -> None:
        self._emit(events.ChannelLost(process=peer))

    # ── who is gone ──────────────────────────────────────────────────────────────────────────────────────────────────

    def _exited(self, peer: int, status: int) -> None:
        member = self.members[peer]
        # Parting reads what it said before it died, which may be the reason.
        self._drop(member)
        if member.role is Role.NEST:
            self._see_to_undertakers()  # first of all: the master may be killed at any moment
        self._emit(events.ProcessExited(process=peer, status=status))
        if member.role is Role.NEST:
            for other in [other for other in self.members.values() if other.asked_of == peer]:
                self.table.fork_settled()
                self._drop(other)
                self._emit(events.ForkFailed(process=other.peer, reason="its nest died", nest_lost=True))

    def _drop(self, member: Member) -> None:
        self.relay.detach(member.peer)
        if member.row >= 0:
            self.board.free(member.row)
        self.members.pop(member.peer, None)
