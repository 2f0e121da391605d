"""The signals that wait while a command turns into the master. Imports next to nothing: they are held before anything else is loaded."""

from __future__ import annotations

import signal
from typing import Final

HELD_SIGNALS: Final = frozenset(
    {
        signal.SIGHUP,
        signal.SIGINT,
        signal.SIGQUIT,
        signal.SIGTERM,
        signal.SIGTTIN,
        signal.SIGTTOU,
        signal.SIGUSR1,
        signal.SIGUSR2,
    }
)
"""Blocked by `tamago start` before it becomes the master, so that one sent in between waits and is not lost.

The master unblocks them once its handlers are set; whoever it starts begins with them unblocked.
"""


def hold_signals() -> None:
    """Block the signals the master handles: one that comes before its handlers are set is delivered then, and not lost."""
    signal.pthread_sigmask(signal.SIG_BLOCK, HELD_SIGNALS)


def release_signals() -> None:
    """Undo `hold_signals`, for a process that does not become the master, and for the master once it has its handlers."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, HELD_SIGNALS)
