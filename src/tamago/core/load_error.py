"""The error of an application whose files cannot be loaded."""

from __future__ import annotations

from collections.abc import Sequence

from tamago.errors import TamagoError


class LoadError(TamagoError):
    """Files of an application cannot be loaded. `problems` has one sentence for each, so that one start shows all of them."""

    def __init__(self, problems: Sequence[str], *, hint: str = "", detail: str = "") -> None:
        self.problems = tuple(problems)
        text = self.problems[0] if len(self.problems) == 1 else "\n  - ".join((f"{len(self.problems)} problems:", *self.problems))
        super().__init__(text, hint=hint, detail=detail)
