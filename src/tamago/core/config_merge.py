"""Merges layers of configuration, and knows of each value which layer it is from. Pure. Egg's `extend2` and `configMeta`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tamago.core.config_problems import Key

MISSING: Final = object()

DEFAULT_OF: Final = "default of "
"""How the origin of a model's default begins."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """What one source says. `origin` is a file, or the name of an environment variable, or "default of Model".

    `defines`: its keys at the top are known from then on; only default files and models define, the others may only override.
    """

    origin: str
    values: Mapping[str, Any]
    defines: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedConfig:
    """Merged configuration before it is checked. `values` is what the hooks change; `origins` has its shape, with files for values.

    `layers` are what was merged, lowest first; `texts` what variables such as TAMAGO__A__B literally say.
    """

    values: dict[str, Any]
    origins: dict[str, Any]
    layers: tuple[Layer, ...]
    texts: Mapping[Key, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Writer:
    """One layer that sets a key, and what it sets it to."""

    origin: str
    value: Any


def merge(target: dict[str, Any], values: Mapping[str, Any]) -> None:
    """Merge `values` into `target`: dicts recursively, all else is replaced, also by None. Only objects are shared with it."""
    for key, value in values.items():
        present = target.get(key)
        if isinstance(value, dict) and isinstance(present, dict):
            merge(present, value)
        else:
            target[key] = clone(value)


def clone(value: Any) -> Any:
    """Copy dicts, lists and sets all the way down, so that a hook that appends to a list does not change the file it is from."""
    if isinstance(value, dict):
        return {key: clone(item) for key, item in value.items()}
    if isinstance(value, list):
        return [clone(item) for item in value]
    if type(value) is tuple:
        return tuple(clone(item) for item in value)
    return set(value) if type(value) is set else value


def merged(layers: Iterable[Layer]) -> dict[str, Any]:
    """Return what all layers make together; later ones win."""
    target: dict[str, Any] = {}
    for layer in layers:
        merge(target, layer.values)
    return target


def origins(layers: Iterable[Layer]) -> dict[str, Any]:
    """Return the same shape as `merged`, with the origin in the place of each value that is no dict, or an empty one."""
    target: dict[str, Any] = {}
    for layer in layers:
        _stamp(target, layer.values, layer.origin)
    return target


def why(layers: Sequence[Layer], dotted: str) -> list[Writer]:
    """Return every layer that sets a key such as "logger.level", in the order they are merged; for a part, those that set any of it."""
    path = tuple(dotted.split("."))
    found = [Writer(origin=layer.origin, value=lookup(layer.values, path)) for layer in layers]
    return [writer for writer in found if writer.value is not MISSING]


def lookup(values: Any, path: Key) -> Any:
    """Return what stands at `path` in nested dicts, MISSING if nothing does."""
    for key in path:
        if not isinstance(values, Mapping) or key not in values:
            return MISSING
        values = values[key]
    return values


def nearest_origin(known: Any, path: Key) -> str:
    """Return the origin of what stands at `path`, or above it, "" if nobody says: a list has one origin for all of its items."""
    for key in path:
        if not isinstance(known, Mapping) or key not in known:
            break
        known = known[key]
    return known if isinstance(known, str) else ""


def _stamp(target: dict[str, Any], values: Mapping[str, Any], origin: str) -> None:
    for key, value in values.items():
        if isinstance(value, dict) and (value or isinstance(target.get(key), dict)):
            if not isinstance(target.get(key), dict):
                target[key] = {}
            _stamp(target[key], value, origin)
        else:
            target[key] = origin
