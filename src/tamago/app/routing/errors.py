"""What goes wrong while routes are registered, compiled or turned into URLs. All of it is found at boot but `UrlError`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tamago.core.suggest import close_match
from tamago.errors import TamagoError


class RouteError(TamagoError):
    """A route that cannot be registered."""


class RouteConflictError(RouteError):
    """Routes that can never match. `problems` has one sentence for each."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__(
            "\n".join(problems),
            hint="register the more special route first, or take out the one that is never reached",
        )
        self.problems = tuple(problems)


class UrlError(TamagoError):
    """A URL that cannot be made: no such route, or parameters that do not fit."""


def did_you_mean(wrong: str, known: Iterable[str], *, nothing: str) -> str:
    """Return a hint with the closest of the `known` names, all of them when none is close, or `nothing` when there are none."""
    names = sorted(set(known))
    if not names:
        return nothing
    close = close_match(wrong, names)
    return f"did you mean {close!r}?" if close else f"there is: {', '.join(names)}"
