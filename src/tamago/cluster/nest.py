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
from typing import NoReturn

from tamago.cluster import linux
from tamago.cluster.aftermath import connected_sockets, seldom_collected, thread_names
from tamago.cluster.birth import born, load_target, reopen_logs, reset_signals
from tamago.cluster.child import preload_for_children, run_forked
from tamago.ipc.blocking import BlockingChannel, Received
from tamago.ipc.control_messages import PROTOCOL_VERSION, Boot, Fork, Forked, Hello, Imported, Reopen, Watch
from tamago.types import Target

# After the children's own time is over they are killed; this much longer, so that who finishes in the last moment may.
_UNDERTAKER_SLACK = 1.0
# What they leave behind gets this long after SIGTERM.
_KIN_GRACE = 1.0


class Nest:
    """Forks on command. `target` is None in a nest that only watches."""

    def __init__(self, channel: BlockingChannel, boot: Boot, target: Target | None) -> None:
        self._channel = channel
        self._boot = boot
        self._target = target
        self._pidfds: dict[int, int] = {}  # pid → pidfd of who lives when the master dies

    def run(self) -> None:
        """Obey until the master is gone, then see the others out."""
        while received := self._channel.receive():
            self._obey(received)
        self._see_out()

    def _obey(self, received: Received) -> None:
        match received.message:
            case Fork(boot=boot) if self._target is not None:
                self._forget_the_dead()
                self._fork(boot, received.descriptors, self._target)
            case Watch(pid=pid):
                self._forget_the_dead()
                self._pidfds[pid] = received.descriptors[0]
            case Reopen():
                reopen_logs(self._boot)
            case _:
                for descriptor in received.descriptors:
                    os.close(descriptor)

    # ── forking ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def _fork(self, boot: Boot, descriptors: tuple[int, ...], target: Target) -> None:
        pid, error, go = 0, "", -1
        # A signal that comes while the child still has our handlers and not its own waits until it has.
        held = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        try:
            target.before_fork()
            pid, go = self._fork_twice(boot, descriptors, target)
            if hasattr(os, "pidfd_open"):
                self._pidfds[pid] = os.pidfd_open(pid)
        except Exception as failure:  # noqa: BLE001 - a before_fork hook may raise anything; the master is told
            error = str(failure) or repr(failure)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, held)
            for descriptor in descriptors:
                os.close(descriptor)
        self._channel.send(Forked(peer=boot.peer, pid=pid, error=error))
        if go >= 0:
            # Only now: whoever reads it knows that its parent is the master and that the master knows its pid.
            os.write(go, b"!")
            os.close(go)

    def _fork_twice(self, boot: Boot, descriptors: tuple[int, ...], target: Target) -> tuple[int, int]:
        """Fork a process whose parent is the master. Return its pid and the descriptor that lets it go on."""
        go_read, go_write = os.pipe()
        pid_read, pid_write = os.pipe()
        middle = os.fork()
        if middle == 0:
            os.close(go_write)
            os.close(pid_read)
            self._middle(boot, descriptors, target, go_read, pid_write)
        os.close(go_read)
        os.close(pid_write)
        answer = b""
        while chunk := os.read(pid_read, 64):
            answer += chunk
        os.close(pid_read)
        # When the middle process is reaped, its child has already been given to the subreaper.
        os.waitpid(middle, 0)
        if not answer.isdigit():
            os.close(go_write)
            raise OSError(answer.decode() or "the kernel refused to fork")
        return int(answer), go_write

    def _middle(self, boot: Boot, descriptors: tuple[int, ...], target: Target, go_read: int, pid_write: int) -> NoReturn:
        try:
            child = os.fork()
        except OSError as error:
            os.write(pid_write, str(error).encode())
            os._exit(1)
        if child:
            os.write(pid_write, str(child).encode())
            os._exit(0)
        os.close(pid_write)
        self._child(boot, descriptors, target, go_read)

    def _child(self, boot: Boot, descriptors: tuple[int, ...], target: Target, go_read: int) -> NoReturn:
        self._channel.close()
        for pidfd in self._pidfds.values():
            os.close(pidfd)
        if os.read(go_read, 1) != b"!":
            os._exit(1)  # the nest died: the master knows nothing of us
        os.close(go_read)
        run_forked(boot, descriptors, target)

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


def _end_kin(sessions: frozenset[int]) -> None:
    """End what the processes at the head of these sessions had started; a mere fork of a worker would hold the port."""
    marker = os.environ.get(linux.MARKER, "")
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
    """Run the nest on the channel whose descriptor is the first argument."""
    channel, boot, _ = born(int(sys.argv[1]))
    channel.send(Hello(version=PROTOCOL_VERSION, pid=os.getpid()))
    watching = sys.argv[2:] == ["watch"]
    Nest(channel, boot, None if watching else _import(channel, boot)).run()


def _import(channel: BlockingChannel, boot: Boot) -> Target:
    began = time.monotonic()
    with seldom_collected():
        target = load_target(channel, boot)
    linux.die_with_parent(boot.master_pid, armed=False)
    # What the application did to its signals was meant for a process that serves; we must be able to fork, reap and end.
    reset_signals()
    threads = thread_names()
    seconds = time.monotonic() - began
    if threads:
        channel.send(Imported(threads=threads, seconds=seconds, mode="spawn"))
        watch_only(channel.fileno())
    sockets = connected_sockets()
    preload_for_children()
    # Two generations of garbage less to copy; what is left is never looked at by the collector again, so its pages stay shared.
    gc.collect()
    gc.freeze()
    channel.send(Imported(threads=[], seconds=seconds, sockets=sockets, mode="fork"))
    return target


if __name__ == "__main__":
    main()
