"""A listening Unix socket at a path: a stale one is replaced, a live one and anything that is no socket is left alone."""

from __future__ import annotations

import errno
import os
import socket
import stat
from contextlib import suppress

from tamago.cluster.bind_errors import ListenError, SocketInUseError, SocketPathError

MAX_PATH = 107 if os.uname().sysname == "Linux" else 103
"""Bytes of `sun_path`, less the final zero."""

Inode = tuple[int, int]
"""Device and inode number: whose file it is, whatever is at the path by now."""


def bind_unix(path: str, *, mode: int, address: str, owner: tuple[int, int] = (-1, -1)) -> tuple[socket.socket, Inode]:
    """Bind a socket at `path`, with that file mode from its first instant on; return it and the inode it made. It does not listen yet.

    `owner` is the user and group id to give it to, -1 for our own.
    """
    _check_path(path, address)
    _remove_stale(path, address)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        # Through the umask, as a chmod afterwards would leave a moment in which others may connect.
        before = os.umask(0o777 & ~mode)
        try:
            sock.bind(path)
        finally:
            os.umask(before)
        status = os.lstat(path)
    except OSError as error:
        sock.close()
        raise _explain(error, path, address) from error
    inode = (status.st_dev, status.st_ino)
    if owner != (-1, -1):
        try:
            os.chown(path, *owner, follow_symlinks=False)
        except OSError as error:
            unlink_own(path, inode)
            sock.close()
            hint = "only root can give it to somebody else: start as root, or leave socket_user and socket_group out"
            raise SocketPathError(address, path, f"its owner cannot be changed ({error.strerror})", hint=hint) from error
    return sock, inode


def unlink_own(path: str, inode: Inode) -> None:
    """Remove the socket file if it still is ours: a successor may have put its own there."""
    with suppress(OSError):
        status = os.lstat(path)
        if (status.st_dev, status.st_ino) == inode:
            os.unlink(path)


def _check_path(path: str, address: str) -> None:
    length = len(os.fsencode(path))
    if length > MAX_PATH:
        problem = f"the path has {length} bytes, and the system allows {MAX_PATH}"
        raise SocketPathError(address, path, problem, hint="use a shorter path, such as one under /run")
    directory = os.path.dirname(path) or "."
    if not os.path.isdir(directory):
        raise SocketPathError(address, path, f"there is no directory {directory}", hint=f"make it: `mkdir -p {directory}`")


def _remove_stale(path: str, address: str) -> None:
    """Make room at `path` if what is there is a socket that nobody listens on."""
    try:
        mode = os.lstat(path).st_mode
    except FileNotFoundError:
        return
    except OSError as error:
        raise _explain(error, path, address) from error
    if not stat.S_ISSOCK(mode):
        kind = "a symbolic link" if stat.S_ISLNK(mode) else "something that is not a socket"
        raise SocketPathError(address, path, f"{kind} is in its place", hint=f"look at it with `ls -l {path}`; it is not removed for you")
    if _somebody_listens(path, address):
        raise SocketInUseError(address, path)
    try:
        os.unlink(path)
    except FileNotFoundError:
        return
    except OSError as error:
        raise _explain(error, path, address) from error


def _somebody_listens(path: str, address: str) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(path)
        except (ConnectionRefusedError, FileNotFoundError):
            return False
        except BlockingIOError:
            return True  # its accept queue is full
        except OSError as error:
            if error.errno == errno.EPROTOTYPE:  # a datagram socket: not ours to remove
                return True
            raise _explain(error, path, address) from error
    return True


def _explain(error: OSError, path: str, address: str) -> SocketPathError | ListenError:
    match error.errno:
        case errno.EADDRINUSE:  # it appeared after we looked
            return SocketInUseError(address, path)
        case errno.EACCES | errno.EPERM | errno.EROFS:
            directory = os.path.dirname(path) or "."
            hint = f"check who owns {directory} with `ls -ld {directory}`"
            return SocketPathError(address, path, f"no permission ({error.strerror})", hint=hint)
        case _:
            return ListenError(address, error)
