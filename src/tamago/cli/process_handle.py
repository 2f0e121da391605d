"""A hold on one process by pid and start time: it signals and waits for that process, never for one that got its number later."""

from __future__ import annotations

import errno
import os
import select
import signal
import time
from contextlib import suppress
from typing import Self

from tamago.cluster.process_id import is_same_process, owner_of


class ProcessHandle:
    """Use it as a context manager. `found` is False if the process is gone, or belongs to another user."""

    def __init__(self, pid: int, started: int = 0) -> None:
        self.pid = pid
        self._started = started
        self._fd = _open(pid)
        # Checked after the descriptor was opened: from then on it cannot come to mean another process.
        self.found = is_same_process(pid, started) and owner_of(pid) in (None, os.geteuid())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._fd >= 0:
            os.close(self._fd)

    def send(self, number: signal.Signals) -> None:
        """Send a signal, if the process is there."""
        if not self.found:
            return
        with suppress(ProcessLookupError):
            if self._fd >= 0:
                signal.pidfd_send_signal(self._fd, number)
            elif is_same_process(self.pid, self._started):
                os.kill(self.pid, number)

    def wait(self, seconds: float) -> bool:
        """Wait until it is gone; return whether that came true in time."""
        if not self.found:
            return True
        if self._fd >= 0:
            poll = select.poll()
            poll.register(self._fd, select.POLLIN)
            return bool(poll.poll(max(0.0, seconds) * 1000))
        deadline = time.monotonic() + seconds
        while is_same_process(self.pid, self._started):
            if time.monotonic() > deadline:
                return False
            select.select([], [], [], 0.02)
        return True


def _open(pid: int) -> int:
    if not hasattr(os, "pidfd_open") or pid <= 0:
        return -1
    try:
        return os.pidfd_open(pid)
    except OSError as error:
        if error.errno in (errno.ESRCH, errno.EINVAL, errno.ENOSYS, errno.EPERM):
            return -1
        raise
