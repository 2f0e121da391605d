"""The transport while the application is being imported in the nest: listening works, sending cannot.

The nest has no event loop and is nobody: a message sent here would come from no process, or once from each of its forks.
"""

from __future__ import annotations

import asyncio

from tamago.errors import TamagoError
from tamago.ipc.transport import Receiver
from tamago.types import Peer


class SentWhileImportingError(TamagoError):
    """The application sends a message at import time."""

    def __init__(self) -> None:
        super().__init__(
            "a message was sent while the application is being imported",
            hint="send it from a start-up hook (ASGI lifespan, `did_load`, the agent's `start`); `messenger.on` works at import",
        )


class Importing:
    """Refuses every send. Listeners registered meanwhile stay when the child connects its own transport."""

    @property
    def loop(self) -> asyncio.AbstractEventLoop | None:
        return None

    @property
    def peers(self) -> tuple[Peer, ...]:
        return ()

    def bind(self, receiver: Receiver) -> None:
        """Nothing will ever be delivered."""

    def send(self, kind: int, route: int, slot: int, to: int, seq: int, body: bytes, /) -> None:  # noqa: ARG002
        raise SentWhileImportingError

    async def drain(self) -> None:
        """Nothing is queued."""

    async def flush(self) -> None:
        """Nothing is queued."""
