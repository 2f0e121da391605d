"""Holds the part of a request body that has arrived and not been read yet. Pure bookkeeping; who waits for it is the exchange's affair."""

from __future__ import annotations

from tamago.server.pace import patience

# Past this much unread body the client is made to wait. It is asyncio's own mark for writes.
HIGH_WATER = 64 * 1024

# Pieces are joined past this many, since a piece of a byte takes fifty.
_MAX_PIECES = 1024


class RequestBody:
    """A queue of pieces. `complete` says that the last one is in; `received` counts all bytes that ever came."""

    __slots__ = ("_pieces", "_waited", "_waiting_since", "complete", "expects_continue", "received", "size")

    def __init__(self, *, expects_continue: bool = False) -> None:
        self._pieces: list[bytes] = []
        self.size = 0
        self.received = 0
        self.complete = False
        self.expects_continue = expects_continue
        self._waited = 0.0  # seconds, while the handler wanted more
        self._waiting_since = 0.0

    def feed(self, piece: bytes) -> None:
        """Add what arrived."""
        pieces, length = self._pieces, len(piece)
        pieces.append(piece)
        self.size += length
        self.received += length
        if len(pieces) > _MAX_PIECES:
            self._pieces = [b"".join(pieces)]

    def wait(self, now: float, *, timeout: float, rate: int) -> float:
        """Note that more is waited for; return until when."""
        self._waiting_since = now
        return now + patience(timeout, rate, received=self.received, waited=self._waited)

    def waited(self, now: float) -> None:
        """Note that the waiting is over."""
        self._waited += now - self._waiting_since

    def take(self) -> bytes:
        """Remove and return all that is there."""
        pieces = self._pieces
        if not pieces:
            return b""
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        self._pieces = []
        self.size = 0
        return data
