"""What the messenger needs of whatever carries its frames, and what it offers in return. Protocols only."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, Protocol

from tamago.ipc.wire import Frame
from tamago.types import Peer


class Receiver(Protocol):
    """The messenger, as a transport sees it. Called on the event loop only."""

    def receive(self, frames: Iterable[Frame], on_control: Callable[[memoryview], None]) -> None:
        """Handle frames in order; bodies are good only until this returns. CONTROL bodies go to `on_control`."""

    def undelivered(self, request: int, reason: str, count: int) -> None:
        """Take note that messages of ours, or the request `request`, could not be delivered."""

    def disconnected(self, error: Exception) -> None:
        """Take note that nothing will come any more; `error` says why."""


class Transport(Protocol):
    """Carries frames between this process and the others."""

    @property
    def loop(self) -> asyncio.AbstractEventLoop | None:
        """The loop on which frames arrive; None if the loop that sends next becomes it."""

    @property
    def peers(self) -> tuple[Peer, ...]:
        """The processes that are ready now."""

    def bind(self, receiver: Receiver) -> None:
        """Deliver to `receiver` from now on."""

    def send(self, kind: int, route: int, slot: int, to: int, seq: int, body: bytes, /) -> None:
        """Queue a frame; from any thread. Raise a TamagoError if it cannot be taken."""

    def drain(self) -> Coroutine[Any, Any, None]:
        """Wait until there is room for more."""

    def flush(self) -> Coroutine[Any, Any, None]:
        """Wait until all that was sent has left this process."""
