"""The bytes every answer begins with: status lines, and the Date and Server fields. Pure; must not know sockets or requests."""

from __future__ import annotations

from email.utils import formatdate
from http import HTTPStatus

STATUS_LINES = {status.value: b"HTTP/1.1 %d %b" % (status.value, status.phrase.encode()) for status in HTTPStatus if status >= 200}

# What an answer with this status must not have: content (RFC 9110, 6.4.1).
BODILESS = frozenset({204, 304})


def status_line(status: int) -> bytes:
    """Return the status line without its line break; a status we have no name for gets none."""
    line = STATUS_LINES.get(status)
    if line is not None:
        return line
    if not 200 <= status <= 999:
        raise ValueError(f"{status} cannot be the status of an answer: it must be 200 to 999")
    return b"HTTP/1.1 %d " % status


def reason(status: int) -> str:
    """Return the words for a status, such as "Not Found"."""
    return HTTPStatus(status).phrase


def date_field(now: float) -> bytes:
    """Return the Date field for the Unix time `now`."""
    return b"date: %b\r\n" % formatdate(now, usegmt=True).encode()


SERVER_FIELD = b"server: tamago\r\n"
