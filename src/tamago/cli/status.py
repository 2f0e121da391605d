"""`tamago status`: what runs, and how it does."""

from __future__ import annotations

import select
import sys
from typing import Annotated, Any

from tamago.cli.choice import AsJson, Directory, Title, base, choose
from tamago.cli.declared import Option
from tamago.cli.measure import measure
from tamago.cli.output import is_terminal, print_json
from tamago.cli.status_view import plain
from tamago.cluster.control_client import ControlClient, MasterGoneError, MasterSilentError
from tamago.cluster.running import NotRunningError, Running, list_running
from tamago.errors import ExitCode

PATIENCE = 0.9
"""Seconds a master may take to answer; after them its state is unknown."""


def status(
    directory: Directory = ".",
    *,
    title: Title = "",
    everything: Annotated[bool, Option(flag="--all", help="Show every cluster of this user.")] = False,
    watch: Annotated[bool, Option(flag="--watch", help="Show it again and again, until Ctrl-C.")] = False,
    interval: Annotated[float, Option(flag="--interval", metavar="SECONDS", low=0.1, help="With --watch: how often.")] = 1.0,
    json: AsJson = False,
) -> int:
    """Show a cluster and its processes. Exit code: 0 ready, 1 degraded or not ready, 3 not running."""
    while True:
        running = list_running(base()) if everything else [choose(directory, title)]
        if not running:
            raise NotRunningError("no cluster is running", hint=f"looked in {base()}; start one with `tamago start`")
        found = [read_status(one) for one in running]
        if json:
            print_json(found if everything else found[0])
        else:
            _show(found, again=watch)
        if not watch:
            return int(ExitCode.OK if all(is_well(one) for one in found) else ExitCode.FAILED)
        sys.stdout.flush()
        select.select([], [], [], interval)


def read_status(running: Running) -> dict[str, Any]:
    """Ask the master for its status; one that does not answer has the state "unknown" and what its lock file says."""
    try:
        with ControlClient(base(), running.title, patience=PATIENCE) as client:
            told = {**client.call("status", timeout=PATIENCE), "answers": True}
    except (MasterSilentError, MasterGoneError) as error:
        owner = running.owner
        return {
            "title": running.title,
            "state": "unknown",
            "pid": owner.pid,
            "directory": owner.directory,
            "addresses": owner.addresses,
            "answers": False,
            "problem": error.problem,
            "processes": [],
        }
    measure(told)
    return told


def is_well(status: dict[str, Any]) -> bool:
    """Return whether the cluster serves with all it should have."""
    return bool(status.get("ready")) and not status.get("degraded")


def _show(found: list[dict[str, Any]], *, again: bool) -> None:
    if is_terminal():
        from tamago.cli.status_tree import show_trees  # noqa: PLC0415 - rich, only for who sees it

        show_trees(found, clear=again)
    else:
        for one in found:
            print("\n".join(plain(one)))
