"""A connection that was accepted and does not speak HTTP yet: it has one deadline, and a drain waits for it.

Only for listeners with TLS or the PROXY protocol; elsewhere HTTP begins at once and nothing of this exists.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from tamago.server.socket_state import has_unread_input

if TYPE_CHECKING:
    from tamago.server.http_server import HttpServer

# Seconds a client gets to read why it was turned away.
_LINGER = 2.0


class Arrival(asyncio.Protocol):
    """What comes before HTTP. A subclass calls `arrived` once the next protocol has the transport."""

    raw: asyncio.Transport
    _arriving = False
    _silent = True  # nothing came
    _timer: asyncio.TimerHandle | None = None

    def __init__(self, server: HttpServer, arrivals: set[Arrival]) -> None:
        self.server = server
        self._arrivals = arrivals

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to wait."""
        self.raw = cast("asyncio.Transport", transport)
        self._arriving = True
        self._arrivals.add(self)
        self.server.arriving()
        self._allow(self.server.options.header_timeout)
        if self.server.draining:
            self.hurry()

    def eof_received(self) -> bool:
        """It left before it said anything useful."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """It is gone."""
        del exc
        self.arrived(failed=True)

    def arrived(self, *, failed: bool = False) -> None:
        """It speaks HTTP, or never will."""
        if self._arriving:
            self._arriving = False
            if self._timer is not None:
                self._timer.cancel()
            self._arrivals.discard(self)
            self.server.connected(failed=failed)

    def hurry(self) -> None:
        """The worker drains: who has said nothing yet gets as long as an idle connection."""
        if self._silent:
            self._allow(self.server.options.linger, self._leave_if_silent)

    def turn_away(self, why: bytes = b"") -> None:
        """Say why, in clear, and close; what still comes is thrown away."""
        if why:
            self.raw.write(why)
        if not self.raw.is_closing():
            self.raw.write_eof()
            # Closing with unread input makes the kernel send RST, which can take the answer with it.
            self._allow(_LINGER)

    def _allow(self, seconds: float, then: Callable[[], None] | None = None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self.server.loop.call_later(seconds, then or self.raw.abort)

    def _leave_if_silent(self) -> None:
        if self.raw.is_closing():
            return
        if self._silent and not has_unread_input(self.raw.get_extra_info("socket").fileno()):
            self.raw.abort()
        else:
            self._allow(self.server.options.header_timeout)
