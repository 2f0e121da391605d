"""What `--bind` may say, parsed: `host:port`, `[v6]:port`, `:port`, `unix:/path`, `fd://3`, each perhaps behind `http://` or `https://`.

Resolves and opens nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar

from tamago.errors import ExitCode, TamagoError


@dataclass(frozen=True, slots=True)
class TcpAddress:
    """A host name or address, "" for all interfaces, and a port, 0 for any free one.

    `scheme`, here and below, is "http", "https", or "" where none is said.
    """

    host: str
    port: int
    scheme: str = ""

    def __str__(self) -> str:
        return _written(self.scheme, f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}")


@dataclass(frozen=True, slots=True)
class UnixAddress:
    """A path of a Unix socket."""

    path: str
    scheme: str = ""

    def __str__(self) -> str:
        return _written(self.scheme, f"unix:{self.path}")


@dataclass(frozen=True, slots=True)
class FdAddress:
    """A listening socket that whoever started us left open."""

    fd: int
    scheme: str = ""

    def __str__(self) -> str:
        return _written(self.scheme, f"fd://{self.fd}")


Address = TcpAddress | UnixAddress | FdAddress


def _written(scheme: str, address: str) -> str:
    return f"{scheme}://{address}" if scheme else address


def speaks_tls(address: Address, *, certified: bool) -> bool:
    """Say whether TLS is spoken there. Where no scheme is said it is if there is a certificate, but on Unix sockets, which have a proxy."""
    if address.scheme:
        return address.scheme == "https"
    return certified and not isinstance(address, UnixAddress)


class BadBindError(TamagoError):
    """A bind address that cannot be read."""

    exit_code: ClassVar[ExitCode] = ExitCode.USAGE

    def __init__(self, bind: str) -> None:
        super().__init__(
            f"{bind!r} is not an address to listen on",
            hint="write host:port, [v6-address]:port, :port, unix:/path/to/socket or fd://3; http:// or https:// may stand before it",
        )
        self.bind = bind


_TCP = re.compile(r"(?:\[(?P<v6>[0-9A-Fa-f:.]+(?:%[\w.-]+)?)\]|(?P<host>[^:\[\]/\s]*)):(?P<port>[0-9]{1,5})")


def parse_bind(bind: str) -> Address:
    """Parse one bind address."""
    scheme = next((scheme for scheme in ("http", "https") if bind.startswith(f"{scheme}://")), "")
    rest = bind.removeprefix(f"{scheme}://") if scheme else bind
    if rest.startswith("unix:") and len(rest) > len("unix:") and "\0" not in rest:
        return UnixAddress(rest.removeprefix("unix:"), scheme)
    if match := re.fullmatch(r"fd://([0-9]{1,7})", rest):
        return FdAddress(int(match[1]), scheme)
    if (match := _TCP.fullmatch(rest)) and int(match["port"]) <= 65535:
        host = match["v6"] or match["host"]
        return TcpAddress("" if host == "*" else host, int(match["port"]), scheme)
    raise BadBindError(bind)
