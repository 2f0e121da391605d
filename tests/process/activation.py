"""Starts a command as systemd does for a socket unit."""

from __future__ import annotations

import sys

_ACTIVATE = """
import fcntl, os, sys
fds = [fcntl.fcntl(int(fd), fcntl.F_DUPFD_CLOEXEC, 100) for fd in sys.argv[1].split(",")]
os.closerange(3, 100)
for number, fd in enumerate(fds, 3):
    os.dup2(fd, number)
os.environ.update(LISTEN_FDS=str(len(fds)), LISTEN_PID=str(os.getpid()), LISTEN_FDNAMES=":".join("web" for _ in fds))
os.execv(sys.argv[2], sys.argv[2:])
"""


def as_systemd(*fds: int) -> tuple[str, ...]:
    """Return what to put before a command: it passes inherited listening sockets on, from descriptor 3, to exactly that process."""
    return (sys.executable, "-c", _ACTIVATE, ",".join(map(str, fds)))
