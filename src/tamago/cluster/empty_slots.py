"""Which slots of a sticky cluster have been empty for so long that a neighbour serves their clients. Pure."""

from __future__ import annotations

# A replaced worker is back long before, and its clients wait in its slot's queue meanwhile. In seconds.
PATIENCE = 2.0


class EmptySlots:
    """Remembers since when each of `slots` slots (from 1) has been empty."""

    def __init__(self, slots: int) -> None:
        self._slots = slots
        self._since: dict[int, float] = {}
        self._long: frozenset[int] = frozenset()

    def look(self, served: set[int], now: float, *, wanted: int | None = None) -> frozenset[int] | None:
        """Take note of who is served at `now`; return the slots that have been empty for long if they are not the same as before.

        Only 1..`wanted` (all, if it is not given) are to be filled; there is no use in waiting for the others. While nobody serves there is
        no neighbour either, and nothing changes.
        """
        wanted = self._slots if wanted is None else wanted
        self._since = {slot: self._since.get(slot, now) for slot in range(1, self._slots + 1) if slot not in served}
        long = frozenset(slot for slot, since in self._since.items() if slot > wanted or now - since >= PATIENCE)
        if long == self._long or not served:
            return None
        self._long = long
        return long
