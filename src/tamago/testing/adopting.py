"""Which application's code can be imported in this process: one at a time, as they all call their packages `app` and `config`."""

from __future__ import annotations

import sys
from pathlib import Path

from tamago.core.importing import adopt, forget

_adopted: Path | None = None


def adopt_alone(directory: Path) -> None:
    """Make the code of an application importable, and forget what was imported of another one. Raises ForeignModuleError."""
    global _adopted  # noqa: PLW0603 - as sys.modules is
    place = directory.resolve()
    if _adopted is not None and _adopted != place:
        forget(_adopted)
        sys.path[:] = [entry for entry in sys.path if entry != str(_adopted)]
    adopt(place)
    _adopted = place
