"""Talking to a running master: blocking, with a limit on every silence, so that a stopped master never hangs its caller."""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, Self

import msgspec

from tamago.cluster.control_protocol import ControlError, Reply, decode_reply, encode_request
from tamago.cluster.rundir import RunDir
from tamago.errors import TamagoError

PATIENCE = 5.0
"""Seconds of silence after which a master is taken to be stuck; it gives a sign of life every second."""
_TIMEVAL: Final = struct.Struct("@ll")
_LONGEST_REPLY = 64 * 1024 * 1024

ProgressCallback = Callable[[Reply], None]


class MasterSilentError(TamagoError):
    """A master holds the lock but does not answer."""

    def __init__(self, title: str, seconds: float) -> None:
        super().__init__(
            f"the master of {title} has not answered for {seconds:.2g} s",
            hint=f"it is stopped or stuck: look at it with `tamago logs --title {title}`, or end it with `tamago stop --title {title}`",
        )


class MasterGoneError(TamagoError):
    """The connection ended before the answer came: the master died or was told to stop at the same time."""

    def __init__(self, title: str) -> None:
        super().__init__(f"the master of {title} ended before it answered", hint=f"see `tamago logs --title {title}`")


class ControlClient:
    """One connection to the master of a title. Use it as a context manager.

    >>> with ControlClient(home, "shop") as client:            # doctest: +SKIP
    ...     client.call("scale", {"workers": 4}, on_event=print)
    """

    def __init__(self, base: Path, title: str, *, patience: float = PATIENCE) -> None:
        self._title = title
        self._patience = patience
        self._buffer = bytearray()
        self._requests = 0
        self._socket = self._connect(base)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def _connect(self, base: Path) -> socket.socket:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        # Not `settimeout`: with that a queue full of other clients is a failure at once, and the kernel could have waited for room in it.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _TIMEVAL.pack(int(self._patience), int(self._patience % 1 * 1e6)))
        try:
            # The directory stays open while connecting: a long path is reached through its descriptor.
            with RunDir(base, self._title, create=False) as rundir:
                sock.connect(rundir.control_address)
        except BlockingIOError:
            sock.close()
            raise MasterSilentError(self._title, self._patience) from None
        except OSError:
            sock.close()
            raise MasterGoneError(self._title) from None
        except BaseException:
            sock.close()
            raise
        return sock

    def call(
        self, command: str, params: dict[str, Any] | None = None, *, on_event: ProgressCallback | None = None, timeout: float | None = None
    ) -> dict[str, Any]:
        """Send a command and return its result.

        Raises `ControlError` with the master's own words, `MasterSilentError` after `patience` seconds of silence or `timeout` seconds in
        all, and `MasterGoneError` when the connection ends first.
        """
        self._requests += 1
        deadline = None if timeout is None else time.monotonic() + timeout
        try:
            self._socket.settimeout(self._patience)
            self._socket.sendall(encode_request(self._requests, command, params or {}))
        except TimeoutError:
            raise MasterSilentError(self._title, self._patience) from None
        except OSError:
            raise MasterGoneError(self._title) from None
        for reply in self._replies(deadline):
            if reply.id not in (0, self._requests):
                continue
            if reply.event == "done":
                return reply.result or {}
            if reply.event == "error":
                raise ControlError(reply.problem, hint=reply.hint, detail=reply.detail, exit_code=reply.exit_code)
            if on_event is not None:
                on_event(reply)
        raise MasterGoneError(self._title)

    def _replies(self, deadline: float | None) -> Iterator[Reply]:
        while True:
            line = self._line(deadline)
            if line is None:
                return
            try:
                yield decode_reply(line)
            except msgspec.MsgspecError as error:
                raise TamagoError(f"the master of {self._title} answered in a way this version does not know: {error}") from None

    def _line(self, deadline: float | None) -> bytes | None:
        while (end := self._buffer.find(b"\n")) < 0:
            if len(self._buffer) > _LONGEST_REPLY:
                raise TamagoError(f"the master of {self._title} sent a line of more than {_LONGEST_REPLY} bytes")
            wait = self._patience if deadline is None else min(self._patience, deadline - time.monotonic())
            if wait <= 0:
                raise MasterSilentError(self._title, self._patience)
            self._socket.settimeout(wait)
            try:
                data = self._socket.recv(64 * 1024)
            except TimeoutError:
                raise MasterSilentError(self._title, wait) from None
            except OSError:
                return None
            if not data:
                return None
            self._buffer += data
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        return line
