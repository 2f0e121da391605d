"""What goes wrong while routes are registered, compiled or turned into URLs. All of it is found at boot but `UrlError`."""

from __future__ import annotations

from collections.abc import Sequence

from tamago.app.routing.caller import source_of_registration
from tamago.errors import TamagoError


class RouteError(TamagoError):
    """A route that cannot be registered. The problem ends with the file and line of the registration, if it does not name them itself."""

    def __init__(self, problem: str, *, hint: str) -> None:
        source = source_of_registration()
        super().__init__(f"{problem} ({source})" if source and source not in problem else problem, hint=hint)


class RouteConflictError(RouteError):
    """Routes that can never match. `problems` has one sentence for each."""

    def __init__(self, problems: Sequence[str]) -> None:
        TamagoError.__init__(  # each names its routes with their lines
            self,
            "\n".join(problems),
            hint="register the more special route first, or take out the one that is never reached",
        )
        self.problems = tuple(problems)


class UrlError(TamagoError):
    """A URL that cannot be made: no such route, or parameters that do not fit."""
