"""Says where in the application's code a route is registered."""

from __future__ import annotations

import os
import sys

import tamago

_HERE = os.path.join(os.path.dirname(__file__), "")
_OURS = os.path.join(os.path.dirname(tamago.__file__), "")


def source_of_caller() -> str:
    """Return `file:line` of the nearest caller outside this package."""
    frame = sys._getframe(1)  # noqa: SLF001 - what inspect.currentframe does
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_HERE):
        frame = frame.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"


def source_of_registration() -> str:
    """Return the same while the application registers a route, "" while its routes are compiled, which is nobody's line."""
    source = source_of_caller()
    return "" if source.startswith(_OURS) else source
