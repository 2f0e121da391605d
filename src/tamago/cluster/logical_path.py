"""Which directory is meant, by the name it was called."""

from __future__ import annotations

import os
from pathlib import Path
from typing import ClassVar

from tamago.errors import ExitCode, TamagoError


class NoCurrentDirectoryError(TamagoError):
    """The directory we were called in was removed, perhaps replaced by a new one of the same name."""

    exit_code: ClassVar[ExitCode] = ExitCode.USAGE

    def __init__(self) -> None:
        super().__init__("the current directory does not exist any more", hint='go to where it is now: cd "$PWD", or name the directory')


def logical_path(directory: str | os.PathLike[str]) -> Path:
    """Return the absolute path with links left as they are: where `current` points to another release, a reload reads that one.

    The shell knows by which name we came here (PWD); the kernel only knows the place. Raises `NoCurrentDirectoryError`.
    """
    if os.path.isabs(directory):
        return Path(os.path.normpath(directory))
    here = os.environ.get("PWD", "")
    if not os.path.isabs(here) or not os.path.isdir(here) or not os.path.samefile(here, "."):
        try:
            here = os.getcwd()
        except FileNotFoundError:
            raise NoCurrentDirectoryError from None
    return Path(os.path.normpath(os.path.join(here, directory)))
