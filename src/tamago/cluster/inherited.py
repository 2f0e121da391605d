"""Listening sockets that whoever started us left open: `fd://N`, and systemd's LISTEN_FDS."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import MutableMapping
from typing import Final

from tamago.cluster.bind_errors import BadDescriptorError

FIRST_SYSTEMD_FD: Final = 3


def systemd_fds(environ: MutableMapping[str, str]) -> list[int]:
    """Return the descriptors systemd passed to this process, and remove its variables: they must not reach a child."""
    pid = environ.pop("LISTEN_PID", "")
    count = environ.pop("LISTEN_FDS", "")
    environ.pop("LISTEN_FDNAMES", None)
    environ.pop("LISTEN_PIDFDID", None)
    if pid != str(os.getpid()) or not re.fullmatch("[0-9]{1,4}", count):
        return []
    return list(range(FIRST_SYSTEMD_FD, FIRST_SYSTEMD_FD + int(count)))


def adopt(fd: int) -> socket.socket:
    """Take over a listening stream socket. The descriptor is then the result's."""
    address = f"fd://{fd}"
    try:
        sock = socket.socket(fileno=fd)
    except OSError as error:
        raise BadDescriptorError(address, fd, "the descriptor is not an open socket") from error
    problem = _problem(sock)
    if problem:
        sock.detach()
        raise BadDescriptorError(address, fd, problem)
    os.set_inheritable(fd, False)
    return sock


def _problem(sock: socket.socket) -> str:
    if sock.type != socket.SOCK_STREAM:
        return "it is not a stream socket"
    # macOS has no SO_ACCEPTCONN to ask; there accept() will say it.
    if hasattr(socket, "SO_ACCEPTCONN") and not sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        return "the socket does not listen"
    return ""
