"""Descriptors 0 to 2: makes those that are missing, and lets go of those nobody reads. Imports nothing heavy."""

from __future__ import annotations

import errno
import os
import sys
from typing import Final

_CANNOT_BE_WRITTEN: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})


def open_standard_files() -> None:
    """Make descriptors 0 to 2 exist: without them the next socket would become our standard output."""
    for fd in range(3):
        try:
            os.fstat(fd)
        except OSError:
            # The lowest free number is this one, because all below it are open. The master we may become needs it as well.
            os.set_inheritable(os.open(os.devnull, os.O_RDONLY if fd == 0 else os.O_WRONLY), True)
    for name, fd in (("stdout", 1), ("stderr", 2)):
        if getattr(sys, name) is None:
            setattr(sys, name, open(fd, "w", encoding="utf-8", closefd=False))  # noqa: SIM115 - for good


def silence(fd: int) -> None:
    """Throw away what is written there from now on, and what waits: nobody reads it, and the interpreter's end must not fail for it."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, fd)
    os.close(null)


def is_lost_output(error: OSError) -> bool:
    """Say whether what failed is writing to an open file, such as a standard output on a full disk."""
    return error.errno in _CANNOT_BE_WRITTEN and error.filename is None
