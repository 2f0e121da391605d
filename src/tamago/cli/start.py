"""`tamago start`: run a cluster, in the foreground or as a daemon."""

from __future__ import annotations

from typing import Annotated

import typer

from tamago.cli.daemon import start_daemon
from tamago.cli.flags import FlagValue, accepts_settings, given
from tamago.cli.launching import become_master
from tamago.cli.plain_start import StartRequest
from tamago.cluster.held_signals import release_signals

Flag = FlagValue | None


@accepts_settings
def start(
    directory: Annotated[str, typer.Argument(metavar="[DIR]", help="Directory of the application.", show_default=False)] = ".",
    *,
    daemon: Annotated[bool, typer.Option("--daemon", help="Run in the background; return when every worker serves.")] = False,
    timeout: Annotated[
        float, typer.Option(metavar="SECONDS", min=0.1, help="With --daemon: how long to wait until every worker serves.")
    ] = 120.0,
    json: Annotated[bool, typer.Option("--json", help="With --daemon: print the result as JSON.")] = False,
    **flags: Flag,
) -> int:
    """Start a cluster.

    In the foreground this command becomes the master; with --daemon it returns once every worker serves.
    """
    request = StartRequest(directory=directory, flags=given(flags))
    if not daemon:
        become_master(request)
    release_signals()
    return start_daemon(request, timeout=timeout, as_json=json)
