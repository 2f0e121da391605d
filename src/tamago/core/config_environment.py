"""What the environment says about configuration: TAMAGO_CONFIG as JSON, then TAMAGO__A__B one by one. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

import msgspec

from tamago.core.config_merge import Layer, lookup
from tamago.core.config_problems import Key

VARIABLE: Final = "TAMAGO_CONFIG"
PREFIX: Final = "TAMAGO__"


def environment_layers(environ: Mapping[str, str], problems: list[str], present: Mapping[str, Any] = MappingProxyType({})) -> list[Layer]:
    """Return a layer for each variable that is set, TAMAGO_CONFIG first, then by name. Adds to `problems` what cannot be read.

    `present` is what files say: a variable is JSON, or else text, but in the place of a text it is text: a password may be all digits.
    """
    layers = []
    if environ.get(VARIABLE):
        values = _object(environ[VARIABLE], problems)
        if values:
            layers.append(Layer(origin=VARIABLE, values=values))
    for name in sorted(environ):
        if name.startswith(PREFIX) and environ[name]:
            path = key_of(name)
            if all(path):
                layers.append(Layer(origin=name, values=_nest(path, _value(environ[name], lookup(present, path)))))
            else:
                problems.append(f"{name}: names no key; write it as {PREFIX}LOGGER__LEVEL for logger.level")
    return layers


def key_of(name: str) -> Key:
    """Return ("logger", "level") for TAMAGO__LOGGER__LEVEL."""
    return tuple(name[len(PREFIX) :].lower().split("__"))


def is_variable_of(path: Key, origin: str) -> bool:
    """Return True if `origin` is the variable that says what stands at `path`."""
    return origin.startswith(PREFIX) and key_of(origin) == path


def texts(environ: Mapping[str, str]) -> Iterator[tuple[Key, str]]:
    """Yield key and text of every TAMAGO__A__B: a password of digits is JSON too, but where a model wants text it is meant as text."""
    yield from ((key_of(name), environ[name]) for name in sorted(environ) if name.startswith(PREFIX) and environ[name])


def _object(text: str, problems: list[str]) -> dict[str, Any]:
    try:
        values = msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        problems.append(f"{VARIABLE}: is not JSON: {error}")  # never the text itself: it may hold secrets
        return {}
    if not isinstance(values, dict):
        problems.append(f"{VARIABLE}: must be a JSON object, not {type(values).__name__}")
        return {}
    return values


def _value(text: str, present: object) -> Any:
    try:
        value = msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text
    return text if isinstance(present, str) and not isinstance(value, str | None) else value


def _nest(path: Key, value: Any) -> dict[str, Any]:
    for key in reversed(path[1:]):
        value = {key: value}
    return {path[0]: value}
