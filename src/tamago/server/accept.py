"""Takes connections from listening sockets that other processes may share.

Owns when this worker accepts and when it steps back. Knows nothing of HTTP.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
from collections.abc import Callable
from typing import Any

logger = logging.getLogger("tamago.server")

# Out of descriptors or memory: waiting for a moment is all one can do. Short enough to recover well within a second, long enough to
# cost nothing (a listener with somebody waiting stays readable, so watching it would spin).
_EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_EXHAUSTED_PAUSE = 0.1
_LOG_INTERVAL = 30.0

# The listener itself is unusable; anything else is one client's misfortune.
_BROKEN = frozenset({errno.EBADF, errno.EINVAL, errno.ENOTSOCK})


class AcceptedSocket(socket.socket):
    """One that says its family and type as the numbers they are: loops ask several times, and making an enum of each takes half a µs."""

    __slots__ = ()

    family = socket.SocketType.family  # type: ignore[assignment]
    type = socket.SocketType.type  # type: ignore[assignment]


class Acceptor:
    """Accepts from one non-blocking listener, one connection per wake-up, so that processes sharing it take turns.

    `accept_pause()` is asked before each accept: for how many seconds to look away (0.0: accept now).
    """

    def __init__(
        self,
        listener: socket.socket,
        *,
        connect: Callable[[socket.socket, Any], None],
        accept_pause: Callable[[], float],
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._listener = listener
        self._kind = (int(listener.family), int(listener.type), listener.proto)
        self._connect = connect
        self._accept_pause = accept_pause
        self._loop = loop
        self._timer: asyncio.TimerHandle | None = None
        self._open = True
        self._logged_at = -_LOG_INTERVAL

    def start(self) -> None:
        """Begin to accept."""
        self._timer = None
        if self._open:
            self._loop.add_reader(self._listener.fileno(), self._readable)

    def stop(self) -> None:
        """Accept no more, and close this process's copy of the listener."""
        if not self._open:
            return
        self._open = False
        if self._timer is not None:
            self._timer.cancel()
        self._loop.remove_reader(self._listener.fileno())
        self._listener.close()

    def stop_when_empty(self) -> None:
        """Take all that waits in the accept queue, then stop."""
        while self._open and self._accept():
            pass
        self.stop()

    def _readable(self) -> None:
        pause = self._accept_pause()
        if pause > 0.0:
            self._look_away(pause)
        else:
            self._accept()

    def _accept(self) -> bool:
        """Accept one connection; False when there is none or none can be had."""
        try:
            # What `accept` itself does, but for the class of the socket.
            fileno, address = self._listener._accept()  # type: ignore[attr-defined]  # noqa: SLF001
        except (BlockingIOError, InterruptedError):
            return False  # another process was faster
        except OSError as error:
            return self._failed(error)
        sock = AcceptedSocket(*self._kind, fileno)
        self._connect(sock, address)
        return True

    def _look_away(self, seconds: float) -> None:
        self._loop.remove_reader(self._listener.fileno())
        self._timer = self._loop.call_later(seconds, self.start)

    def _failed(self, error: OSError) -> bool:
        if error.errno in _EXHAUSTED:
            self._exhausted(error)
            return False
        if error.errno in _BROKEN:
            logger.error("cannot accept connections any more: %s", error.strerror)
            self.stop()
            return False
        return True  # such as ECONNABORTED

    def _exhausted(self, error: OSError) -> None:
        now = self._loop.time()
        if now - self._logged_at >= _LOG_INTERVAL:
            self._logged_at = now
            logger.error("cannot accept connections for now: %s", error.strerror)
        if self._timer is None:
            self._look_away(_EXHAUSTED_PAUSE)
