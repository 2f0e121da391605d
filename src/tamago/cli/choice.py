"""Which running cluster a command means: by --title, or by the directory it was started from."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

from tamago.cli.declared import Argument, Option
from tamago.cli.output import Progress, print_json
from tamago.cluster.control_client import ControlClient
from tamago.cluster.control_protocol import Reply
from tamago.cluster.home import home
from tamago.cluster.running import NotRunningError, Running, find

Directory = Annotated[str, Argument(metavar="[DIR]", help="Directory the cluster was started from (default: this one).")]
Title = Annotated[str, Option(flag="--title", metavar="TITLE", help="Title of the cluster, instead of a directory.")]
AsJson = Annotated[bool, Option(flag="--json", help="Print the result as JSON.")]


def base() -> Path:
    """Return the directory below which the clusters of this user are known."""
    return home(os.environ)


def choose(directory: str, title: str) -> Running:
    """Return the running cluster that is meant; raises NotRunningError."""
    return find(base(), title=title, directory=directory, default_title=lambda: _default_title(directory))


def title_of(directory: str, title: str) -> str:
    """Return the title that is meant, whether it runs or not."""
    try:
        return title or choose(directory, title).title
    except NotRunningError:
        return _default_title(directory)


def _default_title(directory: str) -> str:
    from tamago.cluster.settings_sources import default_title  # noqa: PLC0415 - all settings, which a running cluster is found without

    return default_title(directory, os.environ)


def ask(running: Running, command: str, params: dict[str, Any], *, show: Callable[[Reply], None]) -> dict[str, Any]:
    """Send a command to the master and return its result."""
    with ControlClient(base(), running.title) as client:
        return client.call(command, params, on_event=show)


def carry_out(directory: str, title: str, command: str, params: dict[str, Any], *, as_json: bool = False) -> int:
    """Send a command to the cluster that is meant, show what goes on and what came of it; return the exit code."""
    running = choose(directory, title)
    with Progress() as progress:
        result = ask(running, command, params, show=lambda reply: progress.show(reply.text) if reply.text else None)
    if as_json:
        print_json({"title": running.title, **result})
    else:
        print(f"{running.title}: {result.get('text') or 'done'}")
    return 0
