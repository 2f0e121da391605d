"""Finds a key that a `default.py` seems to define and surely misspells. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from tamago.core.config_merge import Layer
from tamago.core.config_problems import Models
from tamago.core.suggest import SURELY, close_match

_SHORT = 5
"""Characters: of shorter names too many are alike, such as key and keys."""


def misspelt(key: str, layer: Layer, layers: Sequence[Layer], models: Models) -> str:
    """Return the key that is meant by one that nobody else knows, "" if it may be a new one.

    A `default.py` may define any key, so being spelt alike is not enough: what stands there must be right for the other one, which the
    file itself does not set.
    """
    if len(key) < _SHORT or key in models:
        return ""
    others = [other for other in layers if other.defines and other is not layer]
    if any(key in other.values for other in others):
        return ""
    known = {name: other.values[name] for other in others for name in other.values}
    meant = close_match(key, known, cutoff=SURELY)
    if meant is None or meant in layer.values:
        return ""
    return meant if _right_for(layer.values[key], known[meant], models.get(meant)) else ""


def _right_for(value: Any, other: Any, model: type[msgspec.Struct] | None) -> bool:
    if isinstance(value, dict):
        return bool(value) and set(value) <= _names(other, model)
    return bool(value) and type(value) is type(other)


def _names(other: Any, model: type[msgspec.Struct] | None) -> set[str]:
    known: Iterable[str] = other if isinstance(other, dict) else ()
    return {*known, *(model.__struct_fields__ if model is not None else ())}
