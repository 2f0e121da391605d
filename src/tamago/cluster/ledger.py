"""Which requests each process was given and has not answered, so that its death can be told to those who wait. Pure."""

from __future__ import annotations

from collections import defaultdict
from typing import Final

MAX_OPEN: Final = 65_536
"""Requests remembered per receiver. A handler that never answers would otherwise fill the master; the oldest are forgotten."""


class Ledger:
    """Open requests by receiver. A request is named by its requester's peer id and the number that gave it."""

    def __init__(self) -> None:
        # Invariant: the dicts are used as ordered sets, oldest request first.
        self._open: defaultdict[int, dict[tuple[int, int], None]] = defaultdict(dict)

    def given(self, receiver: int, requester: int, seq: int) -> None:
        """Remember that the request is on its way to the receiver."""
        requests = self._open[receiver]
        requests[requester, seq] = None
        if len(requests) > MAX_OPEN:
            del requests[next(iter(requests))]

    def settled(self, receiver: int, requester: int, seq: int) -> bool:
        """Forget a request: it is answered, or was taken back unread. Return False if the receiver was never given it."""
        requests = self._open.get(receiver)
        if requests is None or (requester, seq) not in requests:
            return False
        del requests[requester, seq]
        return True

    def count(self, receiver: int) -> int:
        return len(self._open.get(receiver, ()))

    def died(self, receiver: int) -> list[tuple[int, int]]:
        """Forget the receiver; return the (requester, seq) of all it leaves unanswered, oldest first."""
        return list(self._open.pop(receiver, ()))
