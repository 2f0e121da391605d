"""Decides whether the X-Forwarded-* fields of a request count, and what they say. Pure.

They count only from a peer that the `trusted_proxies` setting names, since anybody can send them.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

from tamago.errors import ExitCode, TamagoError

_Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_SECURE = {b"https": "https", b"wss": "https", b"http": "http", b"ws": "http"}


class TrustedProxiesError(TamagoError):
    """An entry of `trusted_proxies` can't be read."""

    exit_code = ExitCode.USAGE

    def __init__(self, entry: str) -> None:
        super().__init__(
            f"trusted_proxies: {entry!r} is neither an address nor a network",
            hint="use addresses (10.0.0.1), networks (10.0.0.0/8), `unix` for Unix sockets, or `*` for everybody",
        )
        self.entry = entry


class TrustedProxies:
    """The peers whose word about the client counts."""

    def __init__(self, entries: Sequence[str]) -> None:
        self._all = "*" in entries
        self._unix = self._all or "unix" in entries
        self._networks = [_network(entry) for entry in entries if entry not in {"*", "unix"}]

    def __bool__(self) -> bool:
        return self._all or self._unix or bool(self._networks)

    def trusts(self, host: str | None) -> bool:
        """Say whether the peer at this address (None: a Unix socket) is one of ours."""
        if host is None:
            return self._unix
        if self._all:
            return True
        try:
            address = ipaddress.ip_address(host.partition("%")[0])
        except ValueError:
            return False
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        return any(address in network for network in self._networks)

    def client(self, fields: Sequence[tuple[bytes, bytes]]) -> str | None:
        """Return the nearest address in X-Forwarded-For that is not itself a trusted proxy; None when there is none."""
        hops = [
            hop.strip().decode("latin-1").removeprefix("[").partition("]")[0]
            for name, value in fields
            if name == b"x-forwarded-for"
            for hop in value.split(b",")
        ]
        hops = [hop for hop in hops if hop]
        if self._all:
            return hops[0] if hops else None
        for hop in reversed(hops):
            if not self.trusts(hop):
                return hop
        return hops[0] if hops else None

    @staticmethod
    def scheme(fields: Sequence[tuple[bytes, bytes]]) -> str | None:
        """Return what X-Forwarded-Proto says, if it says anything we know."""
        for name, value in fields:
            if name == b"x-forwarded-proto":
                return _SECURE.get(value.strip().lower())
        return None


def _network(entry: str) -> _Network:
    try:
        return ipaddress.ip_network(entry, strict=False)
    except ValueError:
        raise TrustedProxiesError(entry) from None
