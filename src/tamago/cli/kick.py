"""`tamago kick`: replace the worker in one slot."""

from __future__ import annotations

from typing import Annotated

from tamago.cli.choice import AsJson, Directory, Title, carry_out
from tamago.cli.declared import Argument


def kick(
    slot: Annotated[int, Argument(metavar="SLOT", low=1, help="Number of the slot, as `tamago status` shows it.")],
    directory: Directory = ".",
    *,
    title: Title = "",
    json: AsJson = False,
) -> int:
    """Replace the worker in one slot.

    The new one serves before the old one leaves.
    """
    return carry_out(directory, title, "kick", {"slot": slot}, as_json=json)
