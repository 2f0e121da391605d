"""Tell systemd (or whoever set NOTIFY_SOCKET) how we are: ready, reloading, stopping, alive.

What systemd put into the environment is read once and taken out of it: a child must not speak for the service.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import MutableMapping
from typing import Self


class Notifier:
    """Sends state to the service manager. Without one, or when it does not listen, nothing happens: it must never stop a server."""

    def __init__(self, address: str = "", *, watchdog: float | None = None) -> None:
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self.watchdog = watchdog
        """Seconds within which `alive` must be called, or None; do it twice as often."""

    @classmethod
    def from_environment(cls, environ: MutableMapping[str, str]) -> Self:
        """Read NOTIFY_SOCKET and WATCHDOG_USEC, and remove them."""
        address = environ.pop("NOTIFY_SOCKET", "")
        microseconds = environ.pop("WATCHDOG_USEC", "")
        pid = environ.pop("WATCHDOG_PID", "")
        ours = pid in ("", str(os.getpid()))
        watchdog = int(microseconds) / 1e6 if address and ours and microseconds.isdecimal() and int(microseconds) > 0 else None
        # Only paths and abstract names; systemd also knows vsock:, for virtual machines.
        return cls(address if address.startswith(("/", "@")) else "", watchdog=watchdog)

    @property
    def enabled(self) -> bool:
        """True when somebody wants to know."""
        return bool(self._address)

    def ready(self, status: str = "") -> None:
        """We serve, for the first time or after a reload. `MAINPID` is for --daemon, where the command systemd started has gone."""
        self._send("READY=1", f"MAINPID={os.getpid()}", _status(status))

    def reloading(self, status: str = "") -> None:
        """A reload begins; `ready` ends it."""
        self._send("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}", _status(status))

    def stopping(self, status: str = "") -> None:
        """We stop."""
        self._send("STOPPING=1", _status(status))

    def status(self, text: str) -> None:
        """Show a line in `systemctl status`."""
        self._send(_status(text))

    def alive(self) -> None:
        """Feed the watchdog."""
        self._send("WATCHDOG=1")

    def _send(self, *fields: str) -> None:
        if not self._address:
            return
        message = "\n".join(field for field in fields if field).encode("utf-8", "replace")
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | getattr(socket, "SOCK_CLOEXEC", 0)) as sock:
                sock.setblocking(False)  # a manager that does not read must not stop us
                sock.sendto(message, self._address)
        except OSError:
            return


def _status(text: str) -> str:
    return f"STATUS={' '.join(text.split())}" if text else ""
