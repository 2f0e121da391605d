"""The master as a process: what `tamago start` becomes. Reads the request, runs the cluster, turns signals into requests.

It imports no command line library and no application, ever.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Iterator
from typing import NoReturn

from tamago import log
from tamago.cluster import events
from tamago.cluster.held_signals import hold_signals, release_signals
from tamago.cluster.interpreter import EarlyNest
from tamago.cluster.launch import Launch, read_launch
from tamago.cluster.launch_report import LaunchReport
from tamago.cluster.master import Cluster
from tamago.cluster.process_name import name_process
from tamago.cluster.settings import Settings
from tamago.cluster.settings_sources import load
from tamago.cluster.states import ClusterState
from tamago.cluster.status import report_of
from tamago.cluster.systemd import Notifier
from tamago.errors import ExitCode, TamagoError
from tamago.line_writer import LineWriter
from tamago.types import Identity, Role

_log = logging.getLogger("tamago")
_LAST_WORDS = 2.0


class Master:
    """One cluster, its launcher, its service manager and its signals."""

    def __init__(self, launch: Launch, early_nest: EarlyNest | None) -> None:
        self._launch = launch
        self._report = LaunchReport(launch.report_fd)
        self._notifier = Notifier.from_environment(os.environ)
        self._tasks: set[asyncio.Task[None]] = set()
        self._settings = self._read()
        self._cluster = Cluster(self._settings, reread=self._read, owns_process=True)
        self._cluster.stdout, self._cluster.stderr = launch.stdout, launch.stderr
        self._cluster.shows_start_error = self._report.fileno() < 0
        self._cluster.early_nest = early_nest
        self._cluster.began = launch.began or self._cluster.began

    def _read(self) -> Settings:
        return load(self._launch.directory, os.environ, self._launch.flags).settings

    async def run(self) -> int:
        """Run until the cluster is gone; return the exit code."""
        self._loop = asyncio.get_running_loop()
        cluster, settings = self._cluster, self._settings
        name_process(Role.MASTER, f"tamago: master [{cluster.settings.title}]")
        identity = Identity(role=Role.MASTER, slot=0, generation=0, title=cluster.settings.title, pid=os.getpid())
        log.configure(identity, level=settings.log_level)
        os.chdir(settings.directory)  # paths in settings are relative to the application
        if settings.umask is not None:
            os.umask(settings.umask)
        cluster.on(events.EnterState, self._entered)
        cluster.on(events.StartNest, lambda _: self._progress("importing the application"))
        cluster.on(events.NestImported, lambda _: self._progress("imported; booting the agent and the workers"))
        cluster.on(events.ProcessBooted, lambda _: self._progress(self._counted()))
        try:
            self._take_signals()
            self._watch_launcher()
            with _deaf_afterwards():
                await cluster.start()
                self._announce()
                exit_ = await cluster.wait()
        except TamagoError as error:
            self._say_failed(error)
            return int(error.exit_code)
        if exit_.failure is not None:
            _log.error("%s", exit_.failure.problem)
        _log.info("stopped")
        return exit_.code

    # ── signals ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def _take_signals(self) -> None:
        def add(number: signal.Signals, do: Callable[..., object], *arguments: object) -> None:
            self._loop.add_signal_handler(number, self._signalled, number, do, *arguments)

        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
            add(number, self._stop, number)
        add(signal.SIGHUP, self._do, "reload", self._cluster.reload)
        add(signal.SIGTTIN, self._do, "scale", lambda: self._cluster.scale(1, relative=True))
        add(signal.SIGTTOU, self._do, "scale", lambda: self._cluster.scale(-1, relative=True))
        add(signal.SIGUSR1, self._cluster.reopen_logs)
        add(signal.SIGUSR2, self._dump)
        self._loop.add_signal_handler(signal.SIGCHLD, self._cluster.reap)
        _make_room_for_a_storm()
        # The command line blocked them before it became us: one that came in between is delivered now.
        release_signals()

    def _signalled(self, number: signal.Signals, do: Callable[..., object], *arguments: object) -> None:
        self._cluster.note_signal(number.name)
        do(*arguments)

    def _stop(self, number: signal.Signals) -> None:
        _log.info("got %s: stopping", number.name)
        self._cluster.ask_to_stop(number.name)

    def _do(self, name: str, make: Callable[[], Awaitable[str]]) -> None:
        async def guarded() -> None:
            try:
                await make()
            except TamagoError as error:
                _log.error("%s: %s", name, error.problem)

        if self._cluster.is_open:
            self._keep(self._loop.create_task(guarded()))

    def _keep(self, task: asyncio.Task[None]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _dump(self) -> None:
        if self._cluster.is_open:
            for line in report_of(self._cluster):
                _log.info("%s", line)

    # ── who wants to know ────────────────────────────────────────────────────────────────────────────────────────────

    def _progress(self, text: str) -> None:
        if self._cluster.state is ClusterState.STARTING:
            _log.info("%s", text)
            self._report.progress(text)

    def _counted(self) -> str:
        seats = self._cluster.supervisor.seats
        up = sum(seat.is_served for seat in seats)
        return f"{up} of {len(seats)} processes are up"

    def _announce(self) -> None:
        cluster = self._cluster
        title, where, slots = cluster.settings.title, ", ".join(cluster.addresses), cluster.supervisor.slots
        _log.info("%s is ready on %s (%d %s) after %.2f s", title, where, slots, "worker" if slots == 1 else "workers", cluster.ready_after)
        if (fd := self._report.fileno()) >= 0:
            self._loop.remove_reader(fd)
        self._report.ready(pid=os.getpid(), title=cluster.settings.title, addresses=cluster.addresses, seconds=cluster.ready_after)

    def _entered(self, command: events.EnterState) -> None:
        match command.state:
            case ClusterState.READY:
                self._notifier.ready(f"generation {self._cluster.supervisor.generation} serves on {', '.join(self._cluster.addresses)}")
                self._feed_watchdog()
            case ClusterState.RELOADING:
                self._notifier.reloading("reloading")
            case ClusterState.STOPPING:
                self._notifier.stopping("stopping")
            case _:
                return

    _fed = False

    def _feed_watchdog(self) -> None:
        if self._notifier.watchdog is None or self._fed:
            return
        self._fed = True
        self._feed()

    def _feed(self) -> None:
        self._notifier.alive()
        self._loop.call_later((self._notifier.watchdog or 1.0) / 2, self._feed)

    def _watch_launcher(self) -> None:
        fd = self._report.fileno()
        if fd >= 0:
            self._loop.add_reader(fd, self._launcher_spoke, fd)

    def _launcher_spoke(self, fd: int) -> None:
        if self._report.launcher_gone():
            self._loop.remove_reader(fd)
            _log.error("whoever started this daemon is gone: giving the start up")
            self._cluster.ask_to_stop("the launcher is gone")

    def _say_failed(self, error: TamagoError) -> None:
        if self._report.fileno() >= 0:
            self._report.failed(error)
            return
        log.flush(0.5)
        _print(error)


def _print(error: TamagoError) -> None:
    """Print what is wrong on stderr; whoever reads it has a moment to: a start that failed must not stay because nobody does."""
    detail = f"{error.detail.rstrip()}\n" if error.detail else ""
    writer = LineWriter(2)
    writer.push(f"{detail}tamago: {error}\n".encode("utf-8", "backslashreplace"))
    writer.drain(_LAST_WORDS)


@contextlib.contextmanager
def _deaf_afterwards() -> Iterator[None]:
    """Block signals for good in the end: nothing is left to stop, and without a loop to take them they would become the exit code."""
    try:
        yield
    finally:
        hold_signals()


def _make_room_for_a_storm() -> None:
    """Let as many signals wait as the kernel allows, and have no traceback written for each one too many: a storm is coalesced anyway."""
    fd = signal.set_wakeup_fd(-1)
    with socket.socket(fileno=os.dup(fd)) as wakeup:
        wakeup.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1024 * 1024)
    signal.set_wakeup_fd(fd, warn_on_full_buffer=False)


def main(launch_fd: int, early_nest: EarlyNest | None) -> None:
    """Run the master with the request behind that descriptor."""
    try:
        _run(launch_fd, early_nest)
    finally:
        if early_nest is not None:
            early_nest.dismiss()


def _run(launch_fd: int, early_nest: EarlyNest | None) -> NoReturn:
    launch = read_launch(launch_fd)
    try:
        master = Master(launch, early_nest)
    except TamagoError as error:
        report = LaunchReport(launch.report_fd)
        if report.fileno() >= 0:
            report.failed(error)
        else:
            _print(error)
        sys.exit(int(error.exit_code))
    try:
        code = asyncio.run(master.run())
    except Exception:  # noqa: BLE001 - whatever it is, say it and leave with a code that tells
        _log.critical("a bug in tamago", exc_info=True)
        code = int(ExitCode.FAILED)
    log.flush(0.5)
    sys.exit(code)
