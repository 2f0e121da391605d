"""Fresh interpreters: started on one of our modules, with a channel as descriptor 3.

Imports next to nothing, so that the master can start one before it has loaded itself.
"""

from __future__ import annotations

import os
import signal
import socket
import stat
import sys
from contextlib import suppress
from typing import Final, Self

from tamago.cluster.loaders import HOSTED_LOADER

NEST_MODULE: Final = "tamago.cluster.nest"
CHILD_MODULE: Final = "tamago.cluster.child"

MARKER: Final = "TAMAGO_RUN"
"""In the environment of all children of a cluster and of theirs; its value is the cluster's alone."""

_CHANNEL_FD = 3
# Not for children: who is told to notify systemd, which descriptors to take over, and what opens the key, is the master alone.
_PRIVATE_ENVIRONMENT = (
    "NOTIFY_SOCKET",
    "WATCHDOG_USEC",
    "WATCHDOG_PID",
    "LISTEN_FDS",
    "LISTEN_PID",
    "LISTEN_FDNAMES",
    "TAMAGO_SSL_PASSWORD",
)
_RESET = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2, signal.SIGCHLD}


def keep_sockets(*others: int) -> None:
    """Have no socket that we were started with reach a child by itself, nor the descriptors `others`.

    A listening one would keep its port open after we let go of it, and one to a launcher would hide from it that we died. Pipes and
    files are left as they are: `--ssl-keyfile <(…)` is one, and the nest reads it.
    """
    for fd in map(int, os.listdir("/dev/fd")):
        with suppress(OSError):  # the one the listing was read from
            if fd in others or (fd > 2 and stat.S_ISSOCK(os.fstat(fd).st_mode)):
                os.set_inheritable(fd, False)


def new_marker() -> str:
    """Return a value by which the processes of one cluster are known, however far they stray."""
    return os.urandom(8).hex()


def start_interpreter(module: str, channel_fd: int, *arguments: str, marker: str) -> int:
    """Start an interpreter on `module`; return its pid. Raises OSError.

    A nest takes as arguments either `watch` or the modules to load before it asks who it is.
    """
    environ = {name: value for name, value in os.environ.items() if name not in _PRIVATE_ENVIRONMENT}
    environ[MARKER] = marker
    return os.posix_spawn(
        sys.executable,
        [sys.executable, "-P", "-m", module, str(_CHANNEL_FD), *arguments],
        environ,
        file_actions=[(os.POSIX_SPAWN_DUP2, channel_fd, _CHANNEL_FD)],
        setsigmask=(),
        setsigdef=_RESET,
    )


class EarlyNest:
    """The interpreter of the first nest, started before the master has loaded itself, so that on two cores both load at once.

    It knows nothing yet and does nothing but load our own modules and wait for its `Boot`, as every nest does. The title is not locked
    and nothing is bound yet, so it must be possible that it is never needed.
    """

    def __init__(self) -> None:
        """Start it; raises OSError."""
        self.marker = new_marker()
        self.sock, theirs = socket.socketpair()
        try:
            with theirs:
                self.pid = start_interpreter(NEST_MODULE, theirs.fileno(), *AHEAD, marker=self.marker)
        except OSError:
            self.sock.close()
            raise

    @classmethod
    def if_possible(cls) -> Self | None:
        """Start one; None where that fails. The master will try once more when it needs a nest, and then it can say what the matter is."""
        try:
            return cls()
        except OSError:
            return None

    def dismiss(self) -> None:
        """End it, unless somebody took it."""
        if self.pid:
            self.sock.close()
            with suppress(ProcessLookupError, ChildProcessError):  # it died by itself, and was reaped with the strangers
                os.kill(self.pid, signal.SIGKILL)
                os.waitpid(self.pid, 0)
            self.pid = 0

    def take(self) -> int:
        """Return its pid; it and `sock`, our end of its channel, belong to the caller from now on."""
        pid, self.pid = self.pid, 0
        return pid


AHEAD: Final = (HOSTED_LOADER.partition(":")[0],)
"""What nearly every nest needs, whatever application it is going to import."""
