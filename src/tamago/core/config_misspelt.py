"""Finds keys that surely are others, misspelt, where any key may stand: in a `default.py`, in the options of a middleware. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec

from tamago.core.config_merge import Layer
from tamago.core.config_problems import Models
from tamago.core.suggest import SURELY, close_match

_SHORT = 5
"""Characters: of shorter names too many are alike, such as key and keys."""

_SWITCHES: Final = ("enable", "match", "ignore")
"""What every middleware can be told, whatever options it has of its own."""


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


def misspelt_switches(values: Mapping[str, Any], models: Models) -> Iterator[tuple[str, str, str]]:
    """Yield (middleware, option, the one meant) for each that surely is an option every middleware has, misspelt.

    Only of middlewares without a model: with one, an option it does not have is an error anyway.
    """
    for name in _middlewares(values):
        options = values.get(name)
        if name in models or not isinstance(options, Mapping):
            continue
        for key in options:
            meant = close_match(key, _SWITCHES, cutoff=SURELY) if isinstance(key, str) else None
            if meant is not None and meant not in options:
                yield name, key, meant


def _middlewares(values: Mapping[str, Any]) -> list[str]:
    """Return the names in both lists; whether they are lists of names is checked elsewhere."""
    lists = (values.get(key) for key in ("core_middleware", "middleware"))
    return list(dict.fromkeys(name for names in lists if isinstance(names, list) for name in names if isinstance(name, str)))


def _right_for(value: Any, other: Any, model: type[msgspec.Struct] | None) -> bool:
    if isinstance(value, dict):
        return bool(value) and set(value) <= _names(other, model)
    return bool(value) and type(value) is type(other)


def _names(other: Any, model: type[msgspec.Struct] | None) -> set[str]:
    known: Iterable[str] = other if isinstance(other, dict) else ()
    return {*known, *(model.__struct_fields__ if model is not None else ())}
