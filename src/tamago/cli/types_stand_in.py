"""Stands in for `app/types.py` while that file is made: the application may import it before it is there, or after a merge broke it."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import ModuleType
from typing import Final

_NAME: Final = "app.types"


@contextmanager
def standing_in(classes: Mapping[str, type]) -> Iterator[None]:
    """Have `from app.types import …` find these classes within the block, whatever the file has."""
    module = ModuleType(_NAME)
    vars(module).update(classes)
    before = sys.modules.get(_NAME)
    sys.modules[_NAME] = module
    try:
        yield
    finally:
        if before is None:
            sys.modules.pop(_NAME, None)
        else:
            sys.modules[_NAME] = before
