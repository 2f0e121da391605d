"""Directories only we may write to, opened once and used through their descriptor from then on.

Somebody else's directory, a link in its place, or one that others can write to is refused: what is in it decides who is signalled.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

from tamago.errors import TamagoError

_OPEN_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class DirectoryError(TamagoError):
    """A directory of ours cannot be used; `path` says which and `reason` why."""

    def __init__(self, path: str | os.PathLike[str], reason: str, *, hint: str = "") -> None:
        super().__init__(f"cannot use the directory {os.fspath(path)}: {reason}", hint=hint or "set TAMAGO_HOME to a directory of your own")
        self.path = os.fspath(path)
        self.reason = reason


class UnsafeDirectoryError(DirectoryError):
    """Somebody else could change what is in the directory."""


def open_private(path: Path, *, create: bool, mode: int = 0o700, allowed: int = 0) -> int:
    """Open the directory and return its descriptor; with `create`, make it with `mode`, and what is missing above it.

    `allowed` are the permissions that an existing one may have (default: `mode`); nobody else may write to it in any case.
    Raises `DirectoryError`, or FileNotFoundError without `create` when it is not there.
    """
    try:
        if create:
            _make(path, mode)
        fd = os.open(path, _OPEN_DIRECTORY)
    except FileNotFoundError:
        if create:
            raise DirectoryError(path, "it cannot be made there, or was removed a moment ago") from None
        raise
    except OSError as error:
        raise _explained(path, error) from None
    try:
        _check_own(path, os.fstat(fd), (allowed or mode) & ~0o022)
        _check_parents(path)
    except BaseException:
        os.close(fd)
        raise
    return fd


def _explained(path: Path, error: OSError) -> DirectoryError:
    if os.path.islink(path):
        return UnsafeDirectoryError(path, "it is a symbolic link", hint=f"remove it: rm {path}")
    return DirectoryError(path, (error.strerror or str(error)).lower())


def _make(path: Path, mode: int) -> None:
    missing = []
    at = path
    while not os.path.lexists(at):
        missing.append(at)
        at = at.parent
    for directory in reversed(missing):
        try:
            os.mkdir(directory, 0o700)
        except FileExistsError:
            # Two starts at once; whoever made it, it is checked below.
            continue
        if directory == path and mode != 0o700:
            # mkdir's mode goes through the umask.
            os.chmod(directory, mode)


def _check_own(path: Path, status: os.stat_result, mode: int) -> None:
    if status.st_uid != os.geteuid():
        raise UnsafeDirectoryError(path, f"it belongs to user {status.st_uid}, not to user {os.geteuid()}")
    loose = stat.S_IMODE(status.st_mode) & ~mode & 0o777
    if loose:
        raise UnsafeDirectoryError(
            path,
            f"its mode is {stat.S_IMODE(status.st_mode):04o}, so other users could reach into it",
            hint=f"correct it: chmod {mode:04o} {path}",
        )


def _check_parents(path: Path) -> None:
    """Refuse a directory that others could swap for one of theirs, because they can write to a directory above it."""
    trusted = _trusted_owners()
    for parent in Path(os.path.realpath(path)).parents:
        status = os.stat(parent)
        sticky = status.st_mode & stat.S_ISVTX
        if status.st_uid not in trusted:
            raise UnsafeDirectoryError(path, f"{parent} above it belongs to user {status.st_uid}")
        if status.st_mode & stat.S_IWOTH and not sticky:
            raise UnsafeDirectoryError(path, f"everybody can write to {parent} above it", hint=f"correct it: chmod o-w {parent}")


def _trusted_owners() -> set[int]:
    """Return who may own what is above: we and root. In a user namespace root of the machine shows up as the overflow uid."""
    trusted = {0, os.geteuid()}
    try:
        mapped = Path("/proc/self/uid_map").read_text("ascii").split()
        if mapped != ["0", "0", "4294967295"]:
            trusted.add(int(Path("/proc/sys/kernel/overflowuid").read_text("ascii")))
    except OSError:
        return trusted
    return trusted
