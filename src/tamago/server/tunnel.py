"""What a connection needs to know of the protocol that took it over from HTTP."""

from __future__ import annotations

from typing import Protocol, cast

from tamago.server.exchange import Exchange


class Tunnel(Protocol):
    """The other protocol on an upgraded connection."""

    def data_received(self, data: bytes) -> None:
        """Take bytes off the wire."""

    def overdue(self) -> None:
        """The connection's deadline, which the tunnel has set, is past."""

    def go_away(self) -> None:
        """The server stops; what is not open yet may still open, and ends right after that."""

    def lost(self) -> None:
        """The connection is gone."""


class TunnelExchange(Exchange):
    """The exchange that asks for the upgrade."""

    prompt: bool = False
    tunnel: Tunnel = cast("Tunnel", None)  # set as soon as it is made
