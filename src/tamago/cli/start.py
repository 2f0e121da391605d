"""`tamago start`: run a cluster, in the foreground or as a daemon."""

from __future__ import annotations

from tamago.cli.flags import FlagValue, accepts_settings, given
from tamago.cli.launching import start_cluster
from tamago.cli.plain_start import START_SECONDS, AsDaemon, StartAsJson, StartDirectory, StartRequest, StartTimeout

Flag = FlagValue | None


@accepts_settings
def start(
    directory: StartDirectory = ".",
    *,
    daemon: AsDaemon = False,
    timeout: StartTimeout = START_SECONDS,
    json: StartAsJson = False,
    **flags: Flag,
) -> int:
    """Start a cluster.

    In the foreground this command becomes the master; with --daemon it returns once every worker serves.
    """
    return start_cluster(StartRequest(directory=directory, daemon=daemon, timeout=timeout, as_json=json, flags=given(flags)))
