"""Turns `tamago start` into the master: in the foreground by exec, the same process, so that nothing of the command comes along."""

from __future__ import annotations

import os
import sys
import time
from typing import NoReturn

from tamago.cli.plain_start import StartRequest
from tamago.cluster.held_signals import release_signals
from tamago.cluster.launch import Launch, master_command, write_launch
from tamago.cluster.settings import Settings
from tamago.cluster.settings_sources import load
from tamago.cluster.target import find_target

# When this process began, as near as a module can tell.
BEGAN = time.monotonic()


def check(request: StartRequest) -> Settings:
    """Return the settings the master will read once more; every mistake shows here, before anything is started."""
    settings = load(request.directory, os.environ, request.flags).settings
    find_target(settings)
    return settings


def start_cluster(request: StartRequest) -> int:
    """Become the master, or start one in the background; return the exit code."""
    if not request.daemon:
        become_master(request)
    from tamago.cli.daemon import start_daemon  # noqa: PLC0415 - what the master that we become has no use for

    release_signals()
    return start_daemon(request)


def become_master(request: StartRequest) -> NoReturn:
    """Check the request and replace this process by the master."""
    settings = check(request)
    sys.stdout.flush()
    sys.stderr.flush()
    execute(Launch(directory=settings.directory, flags=request.flags, began=BEGAN))


def execute(launch: Launch) -> NoReturn:
    """Replace this process by the master."""
    # Whoever says PYTHONPATH=src means the directory of now, whichever one the master and its children work in.
    if path := os.environ.get("PYTHONPATH"):
        os.environ["PYTHONPATH"] = os.pathsep.join(os.path.abspath(entry) for entry in path.split(os.pathsep) if entry)
    os.execv(sys.executable, master_command(write_launch(launch)))  # noqa: S606
