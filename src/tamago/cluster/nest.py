"""The nest: one process a generation that imports the application and then forks agent and workers on the master's word.

It runs no event loop, no thread and no hook of the application, so what it forks is clean. When the master dies it is the undertaker: it
gives the others their time to finish and kills who is blocked. A nest that cannot fork (`--no-preload`, or the application started threads)
is only the undertaker; then the master starts the processes itself.
"""

from __future__ import annotations

import gc
import os
import select
import signal
import sys
import time
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass
from typing import NoReturn

from tamago.cluster import linux
from tamago.cluster.aftermath import connected_sockets, harm_done, seldom_collected, thread_names, write_out
from tamago.cluster.birth import LONGEST_DETAIL, Cargo, born, load_cargo, reopen_logs, reset_signals
from tamago.cluster.child import preload_for_children, run_forked
from tamago.cluster.interpreter import MARKER
from tamago.cluster.timed_steps import tell_steps
from tamago.ipc.blocking import BlockingChannel, Received
from tamago.ipc.control_messages import PROTOCOL_VERSION, Boot, Fork, Forked, Hello, Imported, Reopen, Watch
from tamago.types import Target
from tamago.user_traceback import summary, user_traceback

# After the children's own time is over they are killed; this much longer, so that who finishes in the last moment may.
_UNDERTAKER_SLACK = 1.0
# What they leave behind gets this long after SIGTERM.
_KIN_GRACE = 1.0

# Orders carried out together: half the forks, as they share the process in the middle. Not all, so that the first begin meanwhile.
MOST_AT_ONCE = 8

MOST_NAMED = 100
"""Threads and connections that an application left behind which are told of; who has more knows from these where to look."""


@dataclass(frozen=True, slots=True)
class Order:
    """A process to be forked, and the descriptors it is to have."""

    boot: Boot
    descriptors: tuple[int, ...]

    def close(self) -> None:
        """Close our copies of the descriptors."""
        for descriptor in self.descriptors:
            os.close(descriptor)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why nothing was forked: the application's `before_fork` raised. `detail` is its traceback."""

    error: str
    detail: str


def _prepare(target: Target) -> Refusal | None:
    """Call the application's `before_fork`; return what it raised."""
    try:
        target.before_fork()
    except Exception as failure:  # noqa: BLE001 - it may raise anything; the master is told
        return Refusal(f"before_fork failed: {summary(failure)}", user_traceback(failure)[-LONGEST_DETAIL:])
    write_out()
    return None


class Nest:
    """Forks on command. `cargo` is None in a nest that only watches."""

    def __init__(self, channel: BlockingChannel, boot: Boot, cargo: Cargo | None) -> None:
        self._channel = channel
        self._boot = boot
        self._cargo = cargo
        self._pidfds: dict[int, int] = {}  # pid → pidfd of who lives when the master dies

    def run(self) -> None:
        """Obey until the master is gone, then see the others out."""
        while received := self._channel.receive():
            orders: list[Order] = []
            while isinstance(received.message, Fork) and self._cargo is not None:
                orders.append(Order(received.message.boot, received.descriptors))
                if len(orders) == MOST_AT_ONCE or not select.select([self._channel], [], [], 0)[0]:
                    break
                following = self._channel.receive()
                if following is None:
                    self._see_out()  # the processes just ordered concern nobody any more
                    return
                received = following
            if orders and self._cargo is not None:
                self._fork(orders, self._cargo)
            if not orders or not isinstance(received.message, Fork):
                self._obey(received)
        self._see_out()

    def _obey(self, received: Received) -> None:
        match received.message:
            case Watch(pid=pid):
                self._forget_the_dead()
                if pid in self._pidfds:  # told twice, when others have watched it in between
                    os.close(self._pidfds[pid])
                self._pidfds[pid] = received.descriptors[0]
            case Reopen():
                reopen_logs(self._boot, received.descriptors)
            case _:
                for descriptor in received.descriptors:
                    os.close(descriptor)

    # ── forking ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def _fork(self, orders: list[Order], cargo: Cargo) -> None:
        self._forget_the_dead()
        answers: list[str] = []
        refusal: Refusal | None = None
        go = -1
        # A signal that comes while the child still has our handlers and not its own waits until it has.
        held = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        try:
            refusal = _prepare(cargo.target)
            if refusal is None:
                answers, go = self._fork_twice(orders, cargo)
        except Exception as failure:  # noqa: BLE001 - the master waits for an answer
            answers = [f"!{summary(failure)}"] * len(orders)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, held)
            for order in orders:
                order.close()
        if refusal is not None:
            self._refuse(orders, refusal)
            return
        born = 0
        for order, answer in zip(orders, answers, strict=True):
            pid = int(answer) if answer.isdigit() else 0
            if pid:
                born += 1
                self._watch(pid)
            self._channel.send(Forked(peer=order.boot.peer, pid=pid, error="" if pid else answer.removeprefix("!")))
        if go >= 0:
            # Only now: whoever reads a byte of it knows that its parent is the master and that the master knows its pid.
            os.write(go, b"!" * born)
            os.close(go)

    def _refuse(self, orders: list[Order], refusal: Refusal) -> None:
        hint = "correct the application; its own traceback is above"
        for order in orders:
            self._channel.send(Forked(peer=order.boot.peer, pid=0, error=refusal.error, hint=hint, detail=refusal.detail))

    def _watch(self, pid: int) -> None:
        if hasattr(os, "pidfd_open"):
            with suppress(ProcessLookupError):  # killed before it began, and reaped
                self._pidfds[pid] = os.pidfd_open(pid)

    def _fork_twice(self, orders: list[Order], cargo: Cargo) -> tuple[list[str], int]:
        """Fork processes whose parent is the master. Return an answer for each, its pid or "!why not", and what lets them go on."""
        with ExitStack() as opened:  # closed again if the kernel refuses: a nest may have to try for hours
            go_read, go_write = _pipe(opened)
            pids_read, pids_write = _pipe(opened)
            middle = os.fork()
            opened.pop_all()
        if middle == 0:
            os.close(go_write)
            os.close(pids_read)
            self._middle(orders, cargo, go_read, pids_write)
        os.close(go_read)
        os.close(pids_write)
        with open(pids_read, encoding="utf-8") as lines:
            answers = lines.read().splitlines()
        # When the middle process is reaped, its children have already been given to the subreaper.
        os.waitpid(middle, 0)
        return answers + ["!the kernel refused to fork"] * (len(orders) - len(answers)), go_write

    def _middle(self, orders: list[Order], cargo: Cargo, go_read: int, pids_write: int) -> NoReturn:
        for order in orders:
            try:
                child = os.fork()
            except OSError as error:
                os.write(pids_write, f"!{error}\n".encode())
                continue
            if child == 0:
                os.close(pids_write)
                for other in orders:
                    if other is not order:
                        other.close()
                self._child(order, cargo, go_read)
            os.write(pids_write, f"{child}\n".encode())
        os._exit(0)

    def _child(self, order: Order, cargo: Cargo, go_read: int) -> NoReturn:
        self._channel.close()
        for pidfd in self._pidfds.values():
            os.close(pidfd)
        if os.read(go_read, 1) != b"!":
            os._exit(1)  # the nest died: the master knows nothing of us
        os.close(go_read)
        run_forked(order.boot, order.descriptors, cargo)

    # ── when the master is dead ──────────────────────────────────────────────────────────────────────────────────────

    def _forget_the_dead(self) -> None:
        for pid in self._ended(0.0):
            os.close(self._pidfds.pop(pid))

    def _ended(self, timeout: float) -> list[int]:
        if not self._pidfds:
            return []
        poll = select.poll()
        by_fd = {pidfd: pid for pid, pidfd in self._pidfds.items()}
        for pidfd in by_fd:
            poll.register(pidfd, select.POLLIN)
        return [by_fd[fd] for fd, _ in poll.poll(timeout * 1000)]

    def _see_out(self) -> None:
        sessions = frozenset(self._pidfds)
        deadline = time.monotonic() + self._boot.stop_timeout + _UNDERTAKER_SLACK
        while self._pidfds and (left := deadline - time.monotonic()) > 0:
            for pid in self._ended(left):
                os.close(self._pidfds.pop(pid))
        for pid, pidfd in self._pidfds.items():
            for descendant in linux.descendants_of(pid):
                _kill(descendant)
            try:
                signal.pidfd_send_signal(pidfd, signal.SIGKILL)
            except ProcessLookupError:
                continue
        _end_kin(sessions)


def _pipe(opened: ExitStack) -> tuple[int, int]:
    """Make a pipe, both ends of which are closed with `opened`."""
    ends = os.pipe()
    for end in ends:
        opened.callback(os.close, end)
    return ends


def _end_kin(sessions: frozenset[int]) -> None:
    """End what the processes at the head of these sessions had started; a mere fork of a worker would hold the port."""
    marker = os.environ.get(MARKER, "")
    for number in (signal.SIGTERM, signal.SIGKILL):
        kin = linux.members_of(sessions, marker)
        for pid in kin:
            _kill(pid, number)
        linux.wait_ended(kin, _KIN_GRACE)


def _kill(pid: int, number: int = signal.SIGKILL) -> None:
    try:
        os.kill(pid, number)
    except (ProcessLookupError, PermissionError):
        return


def watch_only(fd: int) -> NoReturn:
    """Become a nest that only watches, by exec: the threads the application started end with its image."""
    os.set_inheritable(fd, True)
    os.execv(sys.executable, [sys.executable, "-P", "-m", "tamago.cluster.nest", str(fd), "watch"])  # noqa: S606 - our own interpreter


def main() -> None:
    """Run the nest on the channel whose descriptor is the first argument; see `start_interpreter` for the others."""
    ahead = sys.argv[2:]
    watching = ahead == ["watch"]
    if not watching:
        # Before we ask who we are: the master may still be loading itself.
        preload_for_children(ahead)
    channel, boot, _ = born(int(sys.argv[1]))
    with closing(channel):
        channel.send(Hello(version=PROTOCOL_VERSION, pid=os.getpid()))
        Nest(channel, boot, None if watching else _import(channel, boot)).run()


def _import(channel: BlockingChannel, boot: Boot) -> Cargo:
    began, pid = time.monotonic(), os.getpid()
    with seldom_collected():
        cargo = load_cargo(channel, boot)
    if harm := harm_done(pid, channel.fileno()):
        os.write(2, f"tamago: {harm}\n".encode())  # the log has a descriptor of its own, which may be among those closed
        os._exit(1)  # no clean-up: in a copy it would be that of the nest
    linux.die_with_parent(boot.master_pid, armed=False)
    # What the application did to its signals was meant for a process that serves; we must be able to fork, reap and end.
    reset_signals()
    write_out()
    threads = thread_names()[:MOST_NAMED]
    seconds = time.monotonic() - began
    tell_steps(channel.send, cargo.target)
    if threads:
        channel.send(Imported(threads=threads, seconds=seconds, mode="spawn"))
        watch_only(channel.fileno())
    sockets = connected_sockets()[:MOST_NAMED]
    preload_for_children(["anyio._backends._asyncio"] if "anyio" in sys.modules else [])
    # Two generations of garbage less to copy; what is left is never looked at by the collector again, so its pages stay shared.
    gc.collect()
    gc.freeze()
    channel.send(Imported(threads=[], seconds=seconds, sockets=sockets, mode="fork"))
    return cargo


if __name__ == "__main__":
    main()
