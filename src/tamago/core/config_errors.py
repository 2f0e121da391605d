"""The error of configuration that cannot be used."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from tamago.errors import ExitCode, TamagoError


class ConfigError(TamagoError):
    """Configuration that cannot be used; `problems` has one line for each."""

    exit_code: ClassVar[ExitCode] = ExitCode.USAGE

    def __init__(self, problems: Sequence[str], *, hint: str = "") -> None:
        self.problems = tuple(problems)
        several = f"{len(self.problems)} things are wrong with the configuration:\n  " + "\n  ".join(self.problems)
        super().__init__(
            several if len(self.problems) > 1 else self.problems[0],
            hint=hint or "`tamago config --why KEY` shows every file that sets a key",
        )
