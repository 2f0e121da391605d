"""Errors a person reads: what is wrong, with the value in it, and what to do about it.

A `TamagoError` is always somebody else's problem (a taken port, a bad setting, an application that does not import)
and is shown as two lines. Anything else that escapes is a bug of ours and is shown with its traceback.
"""

from __future__ import annotations

from enum import IntEnum
from typing import ClassVar


class ExitCode(IntEnum):
    """Exit codes of every command."""

    OK = 0
    FAILED = 1
    USAGE = 2
    NOT_RUNNING = 3
    ALREADY_RUNNING = 4


class TamagoError(Exception):
    """Base class. `problem` is one sentence with the value in it; `hint` is the next thing to try.

    `detail` is longer text that belongs to the user's own code, such as its traceback; it is printed before the two lines.
    """

    exit_code: ClassVar[ExitCode] = ExitCode.FAILED

    def __init__(self, problem: str, *, hint: str = "", detail: str = "") -> None:
        super().__init__(problem)
        self.problem = problem
        self.hint = hint
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.problem}\n{self.hint}" if self.hint else self.problem
