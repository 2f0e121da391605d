"""The file some service managers and scripts want a pid in. What tamago itself believes is the lock, never this number."""

from __future__ import annotations

import os
from contextlib import suppress

from tamago.errors import TamagoError


class PidFileError(TamagoError):
    """The pid file cannot be written."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"cannot write the pid file {path}: {reason}", hint="pass another --pid-file")
        self.path = path
        self.reason = reason


class PidFile:
    """Our pid in a file, from now until `close`; without a path there is none.

    Make it once the title is ours: whoever runs already keeps the file it wrote. Raises `PidFileError`.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._inode = _write(path) if path else None

    def close(self) -> None:
        """Remove it if it still is ours."""
        if self._inode is None:
            return
        with suppress(OSError):
            status = os.lstat(self.path)
            if (status.st_dev, status.st_ino) == self._inode:
                os.unlink(self.path)


def _write(path: str) -> tuple[int, int]:
    """Write the file, whole from its first moment on; return device and inode."""
    temporary = f"{path}.{os.getpid()}"
    try:
        with suppress(FileNotFoundError):
            # In a container each master has the same pid, also one that was killed in the middle of this.
            os.unlink(temporary)
        with open(temporary, "x", encoding="ascii") as file:
            file.write(f"{os.getpid()}\n")
            status = os.fstat(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        with suppress(OSError):
            os.unlink(temporary)
        raise PidFileError(path, (error.strerror or str(error)).lower()) from None
    return status.st_dev, status.st_ino
