"""Turns a status and header fields from an application into the head of an answer. Pure; decides no framing by itself.

Framing fields (content-length, transfer-encoding, connection) are taken out of what the application says and noted, since only the
exchange knows how the body will travel.
"""

from __future__ import annotations

from collections.abc import Iterable

from tamago.server.status import SERVER_FIELD, status_line

Fields = Iterable[tuple[bytes, bytes]]

_SPECIAL = frozenset({b"content-length", b"transfer-encoding", b"connection", b"date", b"server"})


class ResponseHead:
    """A status line with its fields, and what they said about framing.

    `length` is the announced content-length or None; `wants_close` says that the application asked for the connection to end.
    """

    __slots__ = ("block", "has_date", "has_server", "length", "status", "wants_close")

    def __init__(self, status: int, fields: Fields) -> None:
        self.status = status
        self.length: int | None = None
        self.wants_close = False
        self.has_date = False
        self.has_server = False
        lines = [status_line(status)]
        for name, value in fields:
            # Names should come in lower case, yet not every application does it.
            if name.lower() in _SPECIAL and not self._note(name.lower(), value):
                continue
            lines.append(b"%b: %b\r\n" % (name, value))
        block = b"".join(lines)
        # One comparison for all lines: whoever slips a line break into a field would write the client's next header, or answer.
        if block.count(b"\n") != len(lines) or block.count(b"\r") != len(lines) or b"\0" in block:
            raise ValueError("a response header has a line break or a NUL in it")
        self.block = block

    def _note(self, name: bytes, value: bytes) -> bool:
        """Remember what a special field says; True when it is to be sent as it stands."""
        if name == b"content-length":
            if self.length is not None or not value.isdigit():
                raise ValueError(f"content-length {value.decode('latin-1')!r} must be one whole number, given once")
            self.length = int(value)
            return False
        if name == b"date":
            self.has_date = True
        elif name == b"server":
            self.has_server = True
        elif name == b"connection":
            tokens = {token.strip().lower() for token in value.split(b",")}
            self.wants_close = self.wants_close or b"close" in tokens
            return not tokens & {b"close", b"keep-alive"}
        else:
            # Transfer-encoding is between the two ends of a connection, and this end is ours.
            return False
        return True

    def encode(self, date: bytes, framing: bytes) -> bytes:
        """Return the whole head, with the empty line; `framing` holds complete field lines."""
        if self.has_date or self.has_server:
            return b"".join(
                (self.block, b"" if self.has_server else SERVER_FIELD, b"" if self.has_date else date, framing, b"\r\n"),
            )
        return b"%b%b%b%b\r\n" % (self.block, SERVER_FIELD, date, framing)
