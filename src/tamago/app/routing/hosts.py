"""Hosts that routes are for: a name such as `api.example.com`, or `*.example.com` for everything below a name."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tamago.app.routing.errors import RouteError

_HOST = re.compile(r"(\*\.)?[a-z0-9_-]+(\.[a-z0-9_-]+)*|\[[0-9a-f:.]+\]")


@dataclass(frozen=True, slots=True)
class HostPattern:
    """A host in lower case, without a port. `text` is what was written, `suffix` what follows the star, b"" without one."""

    text: str
    name: bytes
    suffix: bytes

    @classmethod
    def parse(cls, text: str) -> HostPattern:
        """Raise RouteError for what is no host."""
        if _HOST.fullmatch(text) is None:
            raise RouteError(f"the host {text!r} is none", hint="write 'api.example.com' or '*.example.com': lower case, no port")
        return cls(text, text.encode(), text.encode()[1:] if text.startswith("*.") else b"")

    @property
    def rank(self) -> tuple[bool, int, str]:
        """Sorts the more exact first: a name before a star, and among stars the longer."""
        return bool(self.suffix), -len(self.suffix), self.text

    def matches(self, host: bytes) -> bool:
        """Return whether a host, as `bare_host` returns it, is one of mine."""
        return host.endswith(self.suffix) and len(host) > len(self.suffix) if self.suffix else host == self.name

    def includes(self, other: HostPattern) -> bool:
        """Return whether every host of `other` is one of mine."""
        return other == self or self.matches(other.name)


def bare_host(host: bytes) -> bytes:
    """Return the host of a Host field in lower case, without port and without the dot at its end."""
    name = host[: host.find(b"]") + 1] or host if host.startswith(b"[") else host.partition(b":")[0]
    return name.lower().rstrip(b".")
