"""A connection from a load balancer that speaks the PROXY protocol: its header is read, then what the client sends begins."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from tamago.server.arrival import Arrival
from tamago.server.http_server import HttpServer
from tamago.server.proxy_protocol import ProxyHeaderError, read_header

Client = tuple[str, int]


class Proxied(Arrival):
    """Reads the header; `follow(client)` makes the protocol that goes on, with the client's address if the header has one.

    `complain(why)` hears of those who send none: it is a proxy of ours, so somebody has set it up wrongly.
    """

    def __init__(
        self,
        server: HttpServer,
        arrivals: set[Arrival],
        follow: Callable[[Client | None], asyncio.Protocol],
        complain: Callable[[str], None],
    ) -> None:
        super().__init__(server, arrivals)
        self._follow = follow
        self._complain = complain
        self._seen = b""

    def data_received(self, data: bytes) -> None:
        """Take the header, or a piece of it."""
        self._silent = False
        self._seen += data
        try:
            header = read_header(self._seen)
        except ProxyHeaderError as error:
            self._complain(f"what came is no PROXY header: {error}")
            self.raw.abort()
            return
        if header is None:
            return
        rest = self._seen[header.size :]
        protocol = self._follow(header.client)
        self.raw.set_protocol(protocol)
        protocol.connection_made(self.raw)
        self.arrived()
        if rest:
            protocol.data_received(rest)
