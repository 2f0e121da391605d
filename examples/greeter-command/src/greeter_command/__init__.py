"""A sub command for `tamago`: greets every cluster of this user by its title.

It shows the two things most plugins need: to find running clusters, and to ask one over its control socket.
"""

from __future__ import annotations

import os
from typing import Annotated

import typer

from tamago.cluster.control_client import ControlClient
from tamago.cluster.home import home
from tamago.cluster.running import list_running


def register(app: typer.Typer) -> None:
    """Register the command; `tamago` calls this when it needs to know it."""
    app.command("greet")(greet)


def greet(greeting: Annotated[str, typer.Option(help="What to say.")] = "hello") -> int:
    """Greet every cluster that runs."""
    base = home(os.environ)
    running = list_running(base)
    for cluster in running:
        with ControlClient(base, cluster.title) as client:
            health = client.call("health")
        print(f"{greeting}, {cluster.title}: you are {health['state']}")
    if not running:
        print(f"{greeting}, nobody")
    return 0
