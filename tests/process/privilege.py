"""Being somebody else for a moment: tests that need root say so, and become `nobody` with setpriv."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Final

import pytest

NOBODY: Final = 65534

# The interpreter may lie where only its owner can look (a pyenv below /root): this `nobody` may read everything, and write nothing.
AS_NOBODY: Final = (
    "setpriv",
    f"--reuid={NOBODY}",
    f"--regid={NOBODY}",
    "--clear-groups",
    "--inh-caps=-all,+dac_read_search",
    "--ambient-caps=-all,+dac_read_search",
    "--bounding-set=-all,+dac_read_search",
)

needs_root = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("setpriv") is None, reason="only root can become somebody else, and with setpriv only"
)


def _open_to_all(path: str) -> bool:
    return all(directory.stat().st_mode & 0o001 for directory in Path(path).resolve().parents)


nobody_can_run_python = pytest.mark.skipif(
    not (_open_to_all(os.__file__) and _open_to_all(__file__)), reason="the interpreter, or tamago, lies where only its owner can look"
)
