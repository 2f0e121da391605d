"""What `--bind` may say, parsed: `host:port`, `[v6]:port`, `:port`, `unix:/path`, `fd://3`. Resolves and opens nothing."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar

from tamago.errors import ExitCode, TamagoError


@dataclass(frozen=True, slots=True)
class TcpAddress:
    """A host name or address, "" for all interfaces, and a port, 0 for any free one."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class UnixAddress:
    """A path of a Unix socket."""

    path: str

    def __str__(self) -> str:
        return f"unix:{self.path}"


@dataclass(frozen=True, slots=True)
class FdAddress:
    """A listening socket that whoever started us left open."""

    fd: int

    def __str__(self) -> str:
        return f"fd://{self.fd}"


Address = TcpAddress | UnixAddress | FdAddress


class BadBindError(TamagoError):
    """A bind address that cannot be read."""

    exit_code: ClassVar[ExitCode] = ExitCode.USAGE

    def __init__(self, bind: str) -> None:
        super().__init__(
            f"{bind!r} is not an address to listen on",
            hint="write host:port, [v6-address]:port, :port, unix:/path/to/socket or fd://3",
        )
        self.bind = bind


_TCP = re.compile(r"(?:\[(?P<v6>[0-9A-Fa-f:.]+(?:%[\w.-]+)?)\]|(?P<host>[^:\[\]/\s]*)):(?P<port>[0-9]{1,5})")


def parse_bind(bind: str) -> Address:
    """Parse one bind address."""
    if bind.startswith("unix:") and len(bind) > len("unix:") and "\0" not in bind:
        return UnixAddress(bind.removeprefix("unix:"))
    if match := re.fullmatch(r"fd://([0-9]{1,7})", bind):
        return FdAddress(int(match[1]))
    if (match := _TCP.fullmatch(bind)) and int(match["port"]) <= 65535:
        host = match["v6"] or match["host"]
        return TcpAddress("" if host == "*" else host, int(match["port"]))
    raise BadBindError(bind)
