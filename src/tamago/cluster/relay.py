"""The master's router: who gets what a child sent, what waits for whom, and who must slow down.

It decides by headers alone and never looks into a message. Channels are given to it and it does nothing but put frames on them, so it knows
no sockets, no event loop and no clock; the master tells it who is up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Final

import msgspec

from tamago.cluster import pace
from tamago.cluster.attached import Attached, Line
from tamago.cluster.frame_runs import Run, cut
from tamago.cluster.ledger import Ledger
from tamago.cluster.seating import Seat, Seating, nobody
from tamago.cluster.waiting import Waiting
from tamago.ipc import wire
from tamago.ipc.control_messages import LONGEST_CONTROL, Booted, Failed, Forked, FromChild, Hello, Imported, Timed, Undelivered
from tamago.ipc.wire import HEADER, HEADER_SIZE, Kind, Route
from tamago.types import Role

_decode = msgspec.msgpack.Decoder(FromChild).decode
_encode = msgspec.msgpack.Encoder().encode

# Plain ints, for the reason given in the messenger.
_MESSAGE, _REQUEST, _REPLY, _ERROR, _CONTROL = map(int, Kind)
_MASTER, _APP, _ALL, _PEER, _RANDOM, _PID = map(int, (Route.MASTER, Route.APP, Route.ALL, Route.PEER, Route.RANDOM, Route.PID))
_PROCESSES: Final = (_PEER, _PID)
_ANSWERS: Final = (_REPLY, _ERROR)
_NEST: Final = Role.NEST

_MAY_SAY: Final = {
    Role.NEST: (Hello, Imported, Forked, Timed, Failed),
    Role.AGENT: (Hello, Booted, Timed, Failed),
    Role.WORKER: (Hello, Booted, Timed, Failed),
}


class Relay:
    """Routes every frame of every child.

    `on_control(peer, message)`: a child said something about itself. `on_hostile(peer, reason)`: frames of it were refused, told once a
    reason and read. `on_closed(peer)`: it closed its channel, or died; call `detach` once it is reaped.
    `choose(n)` picks one of n ready workers for a message to any.
    """

    def __init__(
        self,
        *,
        on_control: Callable[[int, FromChild], None],
        on_hostile: Callable[[int, str], None],
        on_closed: Callable[[int], None],
        choose: Callable[[int], int] | None = None,
        agent: bool = True,
    ) -> None:
        self._on_control, self._on_hostile, self._on_closed = on_control, on_hostile, on_closed
        self._seating = Seating(agent=agent, choose=choose or _RoundRobin(), busy=pace.is_behind)
        self._ledger = Ledger()
        self._touched: set[Attached] = set()
        self._complaints: set[Attached] = set()
        self._closed = False
        self.dropped_answers = 0
        """Answers nobody waited for any more."""
        self.undelivered = 0
        """Messages and requests given back to their senders."""

    # ── what the master tells ────────────────────────────────────────────────────────────────────────────────────────

    def set_slots(self, count: int) -> None:
        """Let the worker seats be 1..count. What waits for a seat that goes is given back to its senders."""
        for seat, waited in self._seating.set_slots(count):
            self._give_back(waited, f"there is no {seat.name} any more")
        self._settle()

    def attach(self, peer: int, role: Role, slot: int, generation: int, pid: int, channel: Line) -> None:  # noqa: ARG002
        """Read from a process and let it send and be answered. It gets what is sent to its seat once it is activated."""
        this = self._seating.peers[peer] = Attached(peer, role, slot, pid, channel)
        channel.on_data = partial(self._feed, this)
        channel.on_room = partial(self._room, this)
        channel.on_eof = partial(self._on_closed, peer)
        channel.start()

    def set_pid(self, peer: int, pid: int) -> None:
        """Learn the pid of a process that was attached before it was forked."""
        self._seating.peers[peer].pid = pid

    def activate(self, peer: int) -> None:
        """From now on the process gets what is sent to its seat, beginning with what waits there. Who sat there before gets no more."""
        this = self._seating.peers[peer]
        seat = self._seating.sit(this)
        if seat is None:
            return
        self._hand_over(this, seat.line.take_all())
        if this.role is Role.WORKER:
            self._hand_over(this, self._seating.anyone.line.take_all())
        self._settle()

    def deactivate(self, peer: int) -> None:
        """From now on what is sent to the seat of the process waits for the next. Say so before the process is told to drain."""
        this = self._seating.peers.get(peer)
        if this is not None:
            self._seating.leave(this)

    def detach(self, peer: int) -> None:
        """Part with a dead process: deliver its last words, give what it never got to the next, and tell those who wait for its answer."""
        this = self._seating.peers.get(peer)
        if this is None:
            return
        self._seating.leave(this)
        this.line.read_rest()
        del self._seating.peers[peer]
        unsent = this.line.unsent()
        this.line.close()
        self._touched.discard(this)
        self._complaints.discard(this)
        pace.forget(this)
        self._take_back(this, unsent)
        for requester, seq in self._ledger.died(peer):
            self._refuse(requester, seq, f"{this.name} died before it answered")
        self._settle()

    def close(self) -> None:
        """The cluster stops: nothing waits any more, and what cannot be delivered at once is given back."""
        self._closed = True
        for seat in self._seating.seats():
            self._give_back(seat.line.take_all(), _STOPPING)
        self._settle()

    def waiting(self) -> dict[str, int]:
        """Count the messages that wait, by receiver."""
        return {seat.name: seat.line.frames for seat in self._seating.seats() if seat.line.frames}

    # ── what a child sends ───────────────────────────────────────────────────────────────────────────────────────────

    def _feed(self, sender: Attached, view: memoryview) -> int:
        skipped = 0
        if sender.skip:
            skipped = min(sender.skip, len(view))
            sender.skip -= skipped
            view = view[skipped:]
        chunk = cut(view, sender.id)
        hostile: set[str] = set()
        for run in chunk.runs:
            reason = self._dispatch(sender, run, view[run.start : run.stop])
            if reason:
                hostile.add(reason)
        if chunk.forged:
            hostile.add("frames in the name of another process")
        if chunk.too_large:
            sender.skip += chunk.skip
            hostile.add(f"a frame of {chunk.too_large} bytes, over the limit of {wire.MAX_BODY}")
        self._settle(sender)
        if hostile:
            for reason in sorted(hostile):
                self._on_hostile(sender.id, reason)
        return skipped + chunk.taken

    def _dispatch(self, sender: Attached, run: Run, frames: memoryview) -> str:
        """Route a run; return why it was refused, or ""."""
        kind = run.kind
        if kind == _MESSAGE and sender.role is not _NEST:
            return self._message(sender, run, frames)
        if kind == _CONTROL:
            return self._each(sender, run, frames, self._control)
        if sender.role is _NEST:
            return f"a frame of kind {kind} from the nest"
        if kind == _REQUEST:
            return self._each(sender, run, frames, self._request)
        if kind in _ANSWERS:
            return self._each(sender, run, frames, self._answer)
        return f"a frame of unknown kind {kind}"

    @staticmethod
    def _each(sender: Attached, run: Run, frames: memoryview, take: Callable[[Attached, Run, int, memoryview], str]) -> str:
        """Hand over the frames of a run one by one, with their numbers."""
        reason, start, end = "", 0, len(frames)
        while start < end:
            length, *_, seq = HEADER.unpack_from(frames, start)
            stop = start + HEADER_SIZE + length
            reason = take(sender, run, seq, frames[start:stop]) or reason
            start = stop
        return reason

    def _message(self, sender: Attached, run: Run, frames: memoryview) -> str:
        route = run.route
        if route == _RANDOM:
            return self._each(sender, run, frames, self._message_to_any)
        if route in _PROCESSES:
            receiver = self._seating.process(run)
            if receiver is None:
                self._refuse(sender.id, 0, nobody(run), run.frames)
            else:
                self._put(receiver, frames, run.frames)
            return ""
        seats = self._seating.seats_for(run)
        if seats is None:
            return f"a message with route {route}"
        if not seats:
            self._refuse(sender.id, 0, nobody(run), run.frames)
        kept: bytes | memoryview = frames
        for seat in seats:
            if seat.active is not None:
                self._put(seat.active, frames, run.frames)
            else:
                kept = bytes(kept)  # one copy, however many seats are empty
                self._wait(seat, kept, run.frames)
        return ""

    def _message_to_any(self, sender: Attached, run: Run, seq: int, frame: memoryview) -> str:  # noqa: ARG002
        receiver = self._seating.any_ready()
        if receiver is None:
            self._wait(self._seating.anyone, frame, 1)
        else:
            self._put(receiver, frame, 1)
        return ""

    def _request(self, sender: Attached, run: Run, seq: int, frame: memoryview) -> str:
        if not seq or run.route in (_MASTER, _APP, _ALL) or run.route > _PID:
            return f"a request with route {run.route} and number {seq}"
        seat: Seat | None = None
        if run.route in _PROCESSES:
            receiver = self._seating.process(run)
        elif run.route == _RANDOM:
            receiver, seat = self._seating.any_ready(), self._seating.anyone
        else:
            seat = next(iter(self._seating.seats_for(run) or ()), None)
            receiver = seat.active if seat is not None else None
        if receiver is not None:
            self._ledger.given(receiver.id, sender.id, seq)
            self._put(receiver, frame, 1)
        elif seat is not None:
            self._wait(seat, frame, 1)
        else:
            self._refuse(sender.id, seq, nobody(run))
        return ""

    def _answer(self, sender: Attached, run: Run, seq: int, frame: memoryview) -> str:
        if run.route != _PEER:
            return f"an answer with route {run.route}"
        requester = self._seating.peers.get(run.to)
        # Only who was asked may answer, and once: or any worker could answer for the agent.
        if self._ledger.settled(sender.id, run.to, seq) and requester is not None:
            self._put(requester, frame, 1)
        else:
            self.dropped_answers += 1
        return ""

    def _control(self, sender: Attached, run: Run, seq: int, frame: memoryview) -> str:  # noqa: ARG002
        if run.route != _MASTER:
            return f"a control message with route {run.route}"
        if len(frame) - HEADER_SIZE > LONGEST_CONTROL:
            return f"a control message of {len(frame) - HEADER_SIZE} bytes, over the limit of {LONGEST_CONTROL}"
        try:
            message = _decode(frame[HEADER_SIZE:])
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            return f"a control message that is none: {error}"
        if not isinstance(message, _MAY_SAY[sender.role]):
            return f"a {type(message).__name__} from {sender.name}"
        self._on_control(sender.id, message)
        return ""

    # ── moving frames ────────────────────────────────────────────────────────────────────────────────────────────────

    def _put(self, receiver: Attached, frames: bytes | memoryview, count: int) -> None:
        receiver.line.put(frames, count)
        self._touched.add(receiver)

    def _wait(self, seat: Seat, frames: bytes | memoryview, count: int) -> None:
        if self._closed:
            self._give_back((Waiting(bytes(frames), count),), _STOPPING)
            return
        taken = seat.line.add(frames, count)
        if taken < len(frames):
            self._give_back((Waiting(bytes(frames[taken:]), 0),), f"too much waits already for {seat.name}, which is not up")

    def _hand_over(self, receiver: Attached, runs: Iterable[Waiting]) -> None:
        """Deliver what waited."""
        for data, count in runs:
            if data[4] == _REQUEST:
                for _, _, _, _, sender, seq, _ in wire.split(data):
                    self._ledger.given(receiver.id, sender, seq)
            self._put(receiver, data, count)

    def _take_back(self, dead: Attached, runs: Iterable[bytes]) -> None:
        """Give what a dead process never got to whoever comes next, if it was meant for the seat and not for the process."""
        seat = self._seating.seat_of(dead)
        again: list[Waiting] = []
        anyone: list[Waiting] = []
        for kind, route, slot, to, sender, seq, body in (frame for run in runs for frame in wire.split(run)):
            if kind in _ANSWERS:
                self.dropped_answers += 1
            if kind not in (_MESSAGE, _REQUEST):
                continue
            self._ledger.settled(dead.id, sender, seq)
            if seat is None or route in _PROCESSES:
                self._refuse(sender, seq, f"{dead.name} died before it got the message")
            else:
                frame = wire.pack(kind, route, bytes(body), slot=slot, to=to, sender=sender, seq=seq)
                (anyone if route == _RANDOM else again).append(Waiting(frame, 1))
        if seat is not None:
            self._give_to_next(seat, seat.active, again)
        self._give_to_next(self._seating.anyone, self._seating.any_ready(), anyone)

    def _give_to_next(self, seat: Seat, active: Attached | None, runs: list[Waiting]) -> None:
        if active is not None:
            self._hand_over(active, runs)
        elif self._closed:
            self._give_back(runs, _STOPPING)
        else:
            seat.line.put_back(runs)

    def _give_back(self, runs: Iterable[Waiting], reason: str) -> None:
        """Tell the senders that these are not delivered."""
        for run in runs:
            for _, _, _, _, sender, seq, _ in wire.split(run.data):
                self._refuse(sender, seq, reason)

    def _refuse(self, sender: int, seq: int, reason: str, count: int = 1) -> None:
        self.undelivered += count
        peer = self._seating.peers.get(sender)
        if peer is None:
            return
        if seq:
            self._put(peer, _undelivered(seq, reason, 1), 1)
        else:
            peer.refused[reason] = peer.refused.get(reason, 0) + count
            self._complaints.add(peer)

    # ── pace ─────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _settle(self, sender: Attached | None = None) -> None:
        """Write all that was put, and stop reading from the sender while one of its receivers is behind."""
        if self._complaints:
            self._complain()
        touched = self._touched
        while touched:
            receiver = touched.pop()
            receiver.line.flush()
            # A sender that just died, or is reading its last words, is not paused: nothing would ever resume it.
            if pace.is_behind(receiver) and sender is not None and sender.id in self._seating.peers:
                pace.pause(sender, receiver)

    def _complain(self) -> None:
        """Tell senders how many of their messages could not be delivered, but for those that are behind themselves."""
        for peer in [peer for peer in self._complaints if not pace.is_behind(peer)]:
            self._complaints.discard(peer)
            for reason, count in peer.refused.items():
                self._put(peer, _undelivered(0, reason, count), 1)
            peer.refused.clear()

    def _room(self, receiver: Attached) -> None:
        if pace.has_caught_up(receiver):
            pace.release(receiver)
            if receiver in self._complaints:
                self._settle()


class _RoundRobin:
    """Picks one after the other."""

    def __init__(self) -> None:
        self._next = -1

    def __call__(self, count: int) -> int:
        self._next = (self._next + 1) % count
        return self._next


_STOPPING: Final = "the cluster is stopping"


def _undelivered(request: int, reason: str, count: int) -> bytes:
    return wire.pack(_CONTROL, _MASTER, _encode(Undelivered(request=request, reason=reason, count=count)))
