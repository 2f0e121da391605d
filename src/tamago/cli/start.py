"""`tamago start`: run a cluster, in the foreground or as a daemon."""

from __future__ import annotations

import functools
from typing import Any

from tamago.cli.flags import accepts_settings, given
from tamago.cli.launching import start_cluster
from tamago.cli.plain_start import start_request


@accepts_settings
@functools.wraps(start_request, assigned=())
def start(**arguments: Any) -> int:
    """Start a cluster.

    In the foreground this command becomes the master; with --daemon it returns once every worker serves.
    """
    return start_cluster(start_request(**given(arguments)))
