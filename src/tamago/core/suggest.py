"""Finds the name that was meant. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

SURELY: Final = 0.85
"""A `cutoff` for what is an error only if another name was meant for certain."""


def close_match(name: str, known: Iterable[object], *, cutoff: float = 0.6) -> str | None:
    """Return the one of `known` that is spelt most like `name`, None if none is; `cutoff` is how much alike, of 1, they must be."""
    from difflib import get_close_matches  # noqa: PLC0415 - for a mistake that most never make

    found = get_close_matches(name, [other for other in known if isinstance(other, str)], n=1, cutoff=cutoff)
    return found[0] if found else None


def did_you_mean(name: str, known: Iterable[object]) -> str:
    """Return "; did you mean X?", or nothing."""
    close = close_match(name, known)
    return f"; did you mean {close}?" if close else ""


def which_one(name: str, known: Iterable[str], *, nothing: str = "") -> str:
    """Return a hint: the one of `known` that is spelt most like `name`, all of them if none is, or `nothing` if there are none."""
    names = sorted(set(known))
    if not names:
        return nothing
    close = close_match(name, names)
    return f"did you mean {close!r}?" if close else f"there is: {', '.join(names)}"
