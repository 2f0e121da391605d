"""How a start ends that did not get ready."""

from __future__ import annotations

from typing import ClassVar

from tamago.errors import ExitCode, TamagoError


class StartFailedError(TamagoError):
    """The cluster did not get ready; everything that had been started is stopped again."""


class StartInterruptedError(TamagoError):
    """Somebody asked to stop before the cluster was ready. That is no failure."""

    exit_code: ClassVar[ExitCode] = ExitCode.OK

    def __init__(self) -> None:
        super().__init__("the start was interrupted", hint="it was asked to stop before every worker served")
