"""An agent that says what happens to it, and answers."""

from __future__ import annotations

import os

from report import say  # type: ignore[import-not-found]  # beside it in a site

import tamago


class Agent:
    """Every hook once, in order."""

    async def start(self) -> None:
        tamago.messenger.on("ping", lambda data: {"pid": os.getpid(), "data": data})
        say("agent-start")

    async def ready(self) -> None:
        say("agent-ready")

    async def stop(self) -> None:
        say("agent-stop")
