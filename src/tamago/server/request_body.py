"""Holds the part of a request body that has arrived and not been read yet. Pure bookkeeping; who waits for it is the exchange's affair."""

from __future__ import annotations

# Past this much unread body the client is made to wait. It is asyncio's own mark for writes.
HIGH_WATER = 64 * 1024


class RequestBody:
    """A queue of pieces. `complete` says that the last one is in; `received` counts all bytes that ever came."""

    __slots__ = ("_pieces", "complete", "expects_continue", "received", "size")

    def __init__(self, *, expects_continue: bool = False) -> None:
        self._pieces: list[bytes] = []
        self.size = 0
        self.received = 0
        self.complete = False
        self.expects_continue = expects_continue

    def feed(self, piece: bytes) -> None:
        """Add what arrived."""
        self._pieces.append(piece)
        self.size += len(piece)
        self.received += len(piece)

    def take(self) -> bytes:
        """Remove and return all that is there."""
        pieces = self._pieces
        if not pieces:
            return b""
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        self._pieces = []
        self.size = 0
        return data
