"""`tamago start --daemon`: detach a master, show what it waits for, and leave once it serves, or say why it does not.

If this process dies before, the master notices and gives the start up; if the start takes too long, it is cleaned up here.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import msgspec

from tamago.cli.launching import BEGAN, check, execute
from tamago.cli.output import Progress, print_json
from tamago.cli.plain_start import StartRequest
from tamago.cli.process_handle import ProcessHandle
from tamago.cluster.control_protocol import ControlError
from tamago.cluster.held_signals import hold_signals
from tamago.cluster.home import LogPaths, home, log_paths, open_log_directory
from tamago.cluster.launch import Launch
from tamago.cluster.launch_report import Forked, LaunchEvent, Progress as Waiting, Started, StartFailed, decode_event, encode_event
from tamago.cluster.settings import Settings
from tamago.errors import TamagoError
from tamago.log import open_log

CLEAN_UP_SECONDS = 10.0
"""How long a boot that is given up may take to end, before it is killed."""
_TAIL = 20


class StartTimeoutError(TamagoError):
    """The cluster was not ready in time; what had been started is gone."""

    def __init__(self, title: str, seconds: float, waiting_for: str, log: Path) -> None:
        last = f" (last: {waiting_for})" if waiting_for else ""
        super().__init__(
            f"{title} was not ready after {seconds:g} s{last}; it was stopped", hint=f"see {log}, or allow more time with --timeout"
        )


class MasterDiedError(TamagoError):
    """The master ended without a word."""

    def __init__(self, title: str, log: Path, tail: str) -> None:
        super().__init__(f"the master of {title} ended before it was ready", hint=f"see {log}", detail=tail)


@dataclass(slots=True)
class _Launched:
    """A detached master that is starting."""

    title: str
    paths: LogPaths
    report: socket.socket
    log_size: int
    pid: int = 0
    waiting_for: str = ""


def start_daemon(request: StartRequest) -> int:
    """Start a detached master and wait until it serves; return the exit code."""
    settings = check(request)
    launched = _launch(request, settings)
    with launched.report:
        try:
            started = _wait(launched, request.timeout)
        except (ControlError, MasterDiedError):
            # It said so, or died, after it had stopped everything; only its exit is due.
            _clean_up(launched, signalled=False)
            raise
        except BaseException:
            # Ctrl-C as well: nobody would know of what goes on booting.
            _clean_up(launched, signalled=True)
            raise
    if request.as_json:
        print_json(started)
    else:
        print(f"{started.title} is ready on {', '.join(started.addresses)} after {started.seconds:.2f} s (pid {started.pid})")
    return 0


def _launch(request: StartRequest, settings: Settings) -> _Launched:
    base = home(os.environ)
    open_log_directory(base, settings.title)
    paths = log_paths(base, settings.title, stdout=settings.stdout, stderr=settings.stderr, directory=settings.directory)
    files = (_open_log(paths.stdout), _open_log(paths.stderr))
    ours, theirs = socket.socketpair()
    launched = _Launched(title=settings.title, paths=paths, report=ours, log_size=os.fstat(files[1]).st_size)
    sys.stdout.flush()
    sys.stderr.flush()
    launcher = os.getpid()
    child = os.fork()
    if not child:
        ours.close()
        _detach(launcher, request, settings, theirs, files, paths)
    theirs.close()
    for fd in files:
        os.close(fd)
    os.waitpid(child, 0)
    return launched


def _detach(
    launcher: int, request: StartRequest, settings: Settings, report: socket.socket, files: tuple[int, int], paths: LogPaths
) -> NoReturn:
    """Become a process without a terminal and without a parent that waits, then the master. Never returns."""
    try:
        hold_signals()
        os.setsid()
        # The second fork leaves a process that leads no session, so it can never get a terminal by opening one.
        if os.fork():
            os._exit(0)
        _inherit_from_systemd(launcher)
        null = os.open(os.devnull, os.O_RDWR)
        for source, target in ((null, 0), (files[0], 1), (files[1], 2)):
            os.dup2(source, target)
        report.sendall(encode_event(Forked(pid=os.getpid())))
        report.set_inheritable(True)
        execute(
            Launch(
                directory=settings.directory,
                flags=request.flags,
                report_fd=report.fileno(),
                stdout=str(paths.stdout),
                stderr=str(paths.stderr),
                began=BEGAN,
            )
        )
    except BaseException as error:  # noqa: BLE001 - a forked copy of the launcher must not go on as one
        os.write(2, f"tamago: cannot start the master: {error}\n".encode())
    finally:
        os._exit(1)


def _inherit_from_systemd(launcher: int) -> None:
    """Take over what systemd meant for the command it started: sockets and the watchdog are the master's now."""
    for name in ("LISTEN_PID", "WATCHDOG_PID"):
        if os.environ.get(name) == str(launcher):
            os.environ[name] = str(os.getpid())


def _open_log(path: Path) -> int:
    """Open a log file, readable by our group whatever our umask is."""
    before = os.umask(0o027)
    try:
        return open_log(str(path))
    finally:
        os.umask(before)


# ── waiting ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def _wait(launched: _Launched, timeout: float) -> Started:
    with Progress() as progress:
        for event in _events(launched, time.monotonic() + timeout, progress):
            match event:
                case Forked():
                    launched.pid = event.pid
                case Waiting():
                    launched.waiting_for = event.text
                    _show(launched, progress)
                case Started():
                    return event
                case StartFailed():
                    raise ControlError(event.problem, hint=event.hint, detail=event.detail, exit_code=event.exit_code)
                case None:
                    raise StartTimeoutError(launched.title, timeout, launched.waiting_for, launched.paths.stderr)
    raise MasterDiedError(launched.title, launched.paths.stderr, _tail(launched))


def _events(launched: _Launched, deadline: float, progress: Progress) -> Iterator[LaunchEvent | None]:
    """Yield what the master reports, and None when the time is up; ends when the master does."""
    buffer = bytearray()
    poll = select.poll()
    poll.register(launched.report, select.POLLIN)
    while True:
        if not poll.poll(max(0, min(100, (deadline - time.monotonic()) * 1000))):
            _show(launched, progress)
            if time.monotonic() >= deadline:
                yield None
            continue
        data = launched.report.recv(64 * 1024)
        if not data:
            return
        buffer += data
        while (end := buffer.find(b"\n")) >= 0:
            line = bytes(buffer[:end])
            del buffer[: end + 1]
            try:
                yield decode_event(line)
            except msgspec.MsgspecError:
                continue


def _show(launched: _Launched, progress: Progress) -> None:
    if launched.waiting_for:
        progress.show(f"waiting: {launched.waiting_for}", detail=f"{time.monotonic() - BEGAN:.0f} s")


def _clean_up(launched: _Launched, *, signalled: bool) -> None:
    if not launched.pid:
        return
    with ProcessHandle(launched.pid) as master:
        if signalled:
            master.send(signal.SIGTERM)
        if not master.wait(CLEAN_UP_SECONDS):
            # Its children see their channels end and leave by themselves.
            master.send(signal.SIGKILL)
            master.wait(CLEAN_UP_SECONDS)


def _tail(launched: _Launched) -> str:
    """Return the end of what this start wrote to the log."""
    try:
        with open(launched.paths.stderr, "rb") as file:
            file.seek(launched.log_size)
            lines = file.read()[-16 * 1024 :].decode("utf-8", "replace").splitlines()
    except OSError:
        return ""
    return "\n".join(lines[-_TAIL:])
