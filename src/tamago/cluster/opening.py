"""What a cluster takes before it starts a child: settings made whole, the title, the sockets, the trace. All of it, or nothing."""

from __future__ import annotations

import logging
import os
from contextlib import ExitStack
from dataclasses import dataclass, replace

import msgspec

from tamago.cluster import linux
from tamago.cluster.cpus import allowed_cpus
from tamago.cluster.home import home
from tamago.cluster.limits import raise_file_limit
from tamago.cluster.outfit import Outfit
from tamago.cluster.pid_file import PidFile
from tamago.cluster.policy import Policy
from tamago.cluster.privileges import resolve_socket_owner, resolve_user
from tamago.cluster.rundir import RunDir, this_process
from tamago.cluster.settings import Settings
from tamago.cluster.settings_resolve import SettingsError
from tamago.cluster.sockets import Listener, ListenOptions, open_listeners
from tamago.cluster.target import find_target
from tamago.cluster.title import title_from
from tamago.cluster.trace import Trace

_log = logging.getLogger("tamago")


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """What was taken; whoever has it closes it."""

    rundir: RunDir
    pid_file: PidFile
    listeners: list[Listener]
    trace: Trace
    outfit: Outfit


def complete(settings: Settings) -> Settings:
    """Fill in what depends on where we are: the directory, the title, the number of workers."""
    directory = os.path.abspath(settings.directory)
    if not os.path.isdir(directory):
        raise SettingsError([f"directory={settings.directory!r}: is not a directory"])
    title = settings.title or title_from(os.path.basename(directory))
    return replace(settings, directory=directory, title=title, workers=settings.workers or allowed_cpus())


def policy_of(settings: Settings) -> Policy:
    """Return the part of the settings that the supervisor decides by."""
    deaths, period = settings.restart_budget
    return Policy(
        workers=settings.workers,
        agent=not settings.no_agent,
        boot_timeout=settings.boot_timeout,
        stop_timeout=settings.stop_timeout,
        drain_delay=settings.drain_delay,
        reload_batch=settings.reload_batch,
        max_restarts=deaths,
        max_restarts_period=period,
    )


def open_cluster(settings: Settings, *, stdout: str = "", stderr: str = "") -> Opened:
    """Take everything; if any of it fails that is the first and only error, and nothing stays taken. Raises a `TamagoError`."""
    target = find_target(settings)
    run_as = resolve_user(settings.user, settings.group)
    socket_owner = resolve_socket_owner(settings.socket_user, settings.socket_group)
    raise_file_limit(settings.workers)
    with ExitStack() as cleanup_on_fail:
        rundir = RunDir(home(os.environ), settings.title, create=True)
        cleanup_on_fail.callback(rundir.close)
        owner = this_process(title=settings.title, directory=settings.directory, stdout=stdout, stderr=stderr)
        rundir.lock(owner)
        options = ListenOptions(
            backlog=settings.backlog,
            socket_mode=settings.socket_mode,
            socket_owner=socket_owner,
            slots=settings.workers if settings.sticky else 0,
            certified=bool(settings.ssl_certfile),
        )
        listeners = open_listeners(settings.bind, host=settings.host, port=settings.port, options=options)
        for listener in listeners:
            cleanup_on_fail.callback(listener.close)
        rundir.write_owner(msgspec.structs.replace(owner, addresses=[listener.address for listener in listeners]))
        pid_file = PidFile(os.path.join(settings.directory, settings.pid_file) if settings.pid_file else "")
        cleanup_on_fail.callback(pid_file.close)
        trace = Trace(rundir.open_trace())
        cleanup_on_fail.pop_all()
    if not linux.become_subreaper() and settings.preload:
        # A forked child would be given to init and never be ours.
        _log.info("this kernel has no child subreapers: each process imports the application anew")
        settings = replace(settings, preload=False)
    outfit = Outfit(
        settings=settings,
        target=target,
        listeners=listeners,
        title=settings.title,
        master_pid=os.getpid(),
        run_as=run_as,
        stdout=stdout,
        stderr=stderr,
    )
    return Opened(rundir=rundir, pid_file=pid_file, listeners=listeners, trace=trace, outfit=outfit)
