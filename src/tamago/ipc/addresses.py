"""From an address, as people write it, to the header fields that carry it. Pure."""

from __future__ import annotations

from typing import Final

from tamago.errors import TamagoError
from tamago.ipc.wire import Route
from tamago.types import Address, Group, Pid, Slot

LAST_SLOT: Final = 0xFFFF
LAST_PID: Final = 0xFFFF_FFFF

_SLOT, _PID = int(Route.SLOT), int(Route.PID)
_GROUPS: Final = {Group.AGENT: int(Route.AGENT), Group.APP: int(Route.APP), Group.ALL: int(Route.ALL), Group.RANDOM: int(Route.RANDOM)}


class BadAddressError(TamagoError):
    """Not an address, or not one for this use; `to` is what was given."""

    def __init__(self, problem: str, to: object, *, hint: str) -> None:
        super().__init__(problem, hint=hint)
        self.to = to


def header_fields(to: Address) -> tuple[int, int, int]:
    """Return (route, slot, to) of a frame for `to`."""
    # Not `match`: this is on the way of every message to a slot, and class patterns take three times as long.
    if isinstance(to, Slot):
        if 0 < to.number <= LAST_SLOT:
            return _SLOT, to.number, 0
    elif isinstance(to, Pid):
        if 0 < to.number <= LAST_PID:
            return _PID, 0, to.number
    elif isinstance(to, Group):
        return _GROUPS[to], 0, 0
    raise BadAddressError(f"{to!r} is no address", to, hint="use Slot(1..), Pid(pid), or Group.AGENT, APP, ALL or RANDOM")


def one_receiver(to: Address) -> tuple[int, int, int]:
    """Return the header fields of a request for `to`, which must mean one process."""
    if to is Group.APP or to is Group.ALL:
        raise BadAddressError(
            f"a request needs one receiver, and {to} is many", to, hint="use Group.RANDOM for any worker, or ask each Slot(n)"
        )
    return header_fields(to)
