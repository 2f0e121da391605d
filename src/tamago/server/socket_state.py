"""What only the kernel knows of a connection, and what a transport has no method for."""

from __future__ import annotations

import contextlib
import fcntl
import socket
import struct
import termios


def has_unread_input(fileno: int) -> bool:
    """Whether bytes of the client wait to be read: the loop may have been busy and not have seen them yet."""
    try:
        waiting: bytes = fcntl.ioctl(fileno, termios.FIONREAD, b"\0\0\0\0")
    except OSError:
        return False
    return bool(struct.unpack("i", waiting)[0])


def unacknowledged(sock: socket.socket) -> int:
    """Return how many bytes are in the kernel that the other end has not taken yet (SIOCOUTQ, tcp(7)); 0 where it does not say."""
    try:
        waiting: bytes = fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, b"\0\0\0\0")
    except (OSError, ValueError):  # ValueError: it is closed
        return 0
    return int(struct.unpack("i", waiting)[0])


def reset_when_closed(sock: socket.socket) -> None:
    """Have closing the socket send a reset, so that the client cannot take a part for the whole (SO_LINGER, socket(7))."""
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
