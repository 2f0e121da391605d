"""What goes wrong while routes are registered, compiled or turned into URLs. All of it is found at boot but `UrlError`."""

from __future__ import annotations

from collections.abc import Sequence

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
