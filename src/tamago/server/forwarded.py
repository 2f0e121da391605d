"""Decides whether the fields with which proxies tell of the client count, and what they say. Pure.

They count only from a peer that the `trusted_proxies` setting names, since anybody can send them. X-Forwarded-For and X-Forwarded-Proto
win: only where a request has neither, Forwarded (RFC 7239) is read. What can't be understood is as if it were not there. The host is
never taken from them: a proxy passes Host on.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence

from tamago.errors import ExitCode, TamagoError

_Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_SECURE = {b"https": "https", b"wss": "https", b"http": "http", b"ws": "http"}

# Nobody has more proxies of his own than this; addresses further left are not looked at.
_MAX_HOPS = 32

# One `name=value` of Forwarded, and what ends it: a semicolon, a comma, or the end (RFC 7239, 4).
_PAIR = re.compile(rb'[ \t]*(?:([!#$%&\'*+.^_`|~0-9A-Za-z-]+)=("(?:[^"\\]|\\.)*"|[^\s;,"]*))?[ \t]*(;|,|\Z)', re.DOTALL)

Fields = Sequence[tuple[bytes, bytes]]


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

    def client(self, fields: Fields) -> str | None:
        """Return the address of the client, as far as our own proxies vouch for it; None when they don't say."""
        if _has_x_forwarded(fields):
            hops = b",".join(value for name, value in fields if name == b"x-forwarded-for").split(b",")
            nearest = self._nearest([hop for hop in hops if hop.strip()])
        else:
            nearest = self._nearest([hop for hop, _ in _forwarded(fields)])
        return None if nearest is None else nearest[1]

    def scheme(self, fields: Fields) -> str | None:
        """Return how the client spoke to the proxy, if that is something we know."""
        if _has_x_forwarded(fields):
            said = [value for name, value in fields if name == b"x-forwarded-proto"]
            return _SECURE.get(said[-1].strip().lower()) if said else None
        hops = _forwarded(fields)
        nearest = self._nearest([hop for hop, _ in hops])
        # Who doesn't say for whom it speaks may still say how it was spoken to.
        at = -1 if nearest is None else nearest[0]
        return _SECURE.get(hops[at][1].lower()) if hops else None

    def _nearest(self, hops: Sequence[bytes]) -> tuple[int, str] | None:
        """Return place and address of the last hop that is not itself a trusted proxy; of the first, when all are."""
        first = 0 if self._all else max(0, len(hops) - _MAX_HOPS)
        found = None
        for at in [0] if self._all and hops else range(len(hops) - 1, first - 1, -1):
            if hops[at].strip() == b"unix:" and self._unix:
                continue  # nginx's word for a peer on a Unix socket
            address = _address(hops[at])
            if address is None:
                return None  # and what stands before it is nobody's word
            found = (at, address)
            if not self.trusts(address):
                return found
        return found


def _has_x_forwarded(fields: Fields) -> bool:
    return any(name in {b"x-forwarded-for", b"x-forwarded-proto"} for name, _ in fields)


def _address(hop: bytes) -> str | None:
    """Return the IP address in `1.2.3.4`, `1.2.3.4:80`, `::1`, `[::1]` or `[::1]:80`; None for anything else, such as `unknown`."""
    text = hop.decode("latin-1").strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return None
    return text


def _forwarded(fields: Fields) -> list[tuple[bytes, bytes]]:
    """Return `for` and `proto` of each hop in Forwarded; nothing where any of it can't be read."""
    text = b",".join(value for name, value in fields if name == b"forwarded")
    hops: list[tuple[bytes, bytes]] = []
    hop: dict[bytes, bytes] = {}
    at = 0
    while at < len(text) or hop:
        pair = _PAIR.match(text, at)
        if pair is None:
            return []
        if pair[1]:
            name = pair[1].lower()
            if name in hop:
                return []
            hop[name] = _unquoted(pair[2])
        if pair[3] != b";" and hop:
            hops.append((hop.get(b"for", b""), hop.get(b"proto", b"")))
            hop = {}
        at = pair.end()
    return hops


def _unquoted(value: bytes) -> bytes:
    return re.sub(rb"\\(.)", rb"\1", value[1:-1], flags=re.DOTALL) if value.startswith(b'"') else value


def _network(entry: str) -> _Network:
    try:
        return ipaddress.ip_network(entry, strict=False)
    except ValueError:
        raise TrustedProxiesError(entry) from None
