"""How a starting daemon tells its launcher what happens: one JSON object a line over a socket, until ready or failed.

Used by the master (`LaunchReport`) and by the command line (`decode_event`). Knows neither asyncio nor the cluster.
"""

from __future__ import annotations

import socket

import msgspec

from tamago.errors import TamagoError

LONGEST_DETAIL = 32 * 1024
"""Characters of a traceback that travel; its end says most, and what is longer could overrun the socket's buffer."""


class _Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="event"):
    """Base: tagged with the field `event`."""


class Forked(_Event, frozen=True, tag="forked"):
    """The detached process exists; it has not begun to run the master."""

    pid: int


class Progress(_Event, frozen=True, tag="progress"):
    """What the start waits for now."""

    text: str


class Started(_Event, frozen=True, tag="ready"):
    """Every worker serves."""

    pid: int
    addresses: list[str]
    title: str
    seconds: float = 0.0


class StartFailed(_Event, frozen=True, tag="failed"):
    """The start failed and everything is stopped. `detail` is the user's own traceback."""

    problem: str
    hint: str = ""
    detail: str = ""
    exit_code: int = 1


LaunchEvent = Forked | Progress | Started | StartFailed
_DECODER: msgspec.json.Decoder[LaunchEvent] = msgspec.json.Decoder(LaunchEvent)


def decode_event(line: bytes) -> LaunchEvent:
    """Decode one line; raises `msgspec.DecodeError`."""
    return _DECODER.decode(line)


def encode_event(event: LaunchEvent) -> bytes:
    """Encode one line."""
    return msgspec.json.encode(event) + b"\n"


class LaunchReport:
    """The master's end. Every method is harmless when there is no launcher (`fd` -1), or when it is gone.

    While starting, watch `fileno()` for readability: the launcher never sends, so readable means that it is gone (`launcher_gone()` says
    for certain) and the start is to be given up, because nobody would learn that it succeeded.
    """

    def __init__(self, fd: int) -> None:
        self._socket = socket.socket(fileno=fd) if fd >= 0 else None
        if self._socket is not None:
            # A launcher that is stopped must not stop us.
            self._socket.setblocking(False)

    def fileno(self) -> int:
        """Return the descriptor, or -1 when nobody listens (any more)."""
        return -1 if self._socket is None else self._socket.fileno()

    def progress(self, text: str) -> None:
        self._send(Progress(text=text))

    def ready(self, *, pid: int, title: str, addresses: list[str], seconds: float) -> None:
        """Tell the launcher that it can leave; nothing can be reported after it."""
        self._send(Started(pid=pid, title=title, addresses=addresses, seconds=seconds))
        self.close()

    def failed(self, error: TamagoError) -> None:
        """Tell the launcher what to print; nothing can be reported after it."""
        detail = error.detail[-LONGEST_DETAIL:]
        self._send(StartFailed(problem=error.problem, hint=error.hint, detail=detail, exit_code=error.exit_code))
        self.close()

    def launcher_gone(self) -> bool:
        """Return whether there was a launcher and it left."""
        if self._socket is None:
            return False
        try:
            return self._socket.recv(1) == b""
        except BlockingIOError:
            return False
        except OSError:
            return True

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _send(self, event: LaunchEvent) -> None:
        if self._socket is None:
            return
        # The buffer holds thousands of such lines; a launcher that reads none of them, or left, is told nothing.
        try:
            self._socket.sendall(encode_event(event))
        except OSError:
            return
