"""Makes configuration fit to be shown: secrets become their length, objects their names. Pure. Egg's `dump.ignore`."""

from __future__ import annotations

import inspect
import re
from collections.abc import Collection, Mapping
from datetime import date, time, timedelta
from enum import Enum
from pathlib import PurePath
from typing import Any, Final

import msgspec

Rule = str | re.Pattern[str]
"""A key, or a pattern that is searched in it."""

DEFAULT_IGNORE: Final[tuple[Rule, ...]] = (
    re.compile(
        r"secret|passw|passphrase|token|credential|authorization|(^|[_-])(pass|pwd|passd|passwd|keys|dsn)($|[_-])"
        r"|(master|access|api|private|signing|encryption)[_-]?key",
        re.IGNORECASE,
    ),
)
"""Egg's keys, in every spelling, that of header fields as well, and what else commonly names a secret."""

_USERINFO = re.compile(r"(?P<before>[a-z][a-z0-9+.-]*://[^/?#\s@:]*):[^\s@]+@", re.IGNORECASE)
"""The password in a URL such as postgres://user:password@host/. Drivers also take one with a / in it: better to hide too much."""


def redact(value: Any, ignore: Collection[Rule] = DEFAULT_IGNORE, ignore_paths: Collection[str] = ()) -> Any:
    """Return `value` as dicts, lists and scalars of JSON without secrets.

    A value below a key that matches `ignore` is shown as its type and length, what stands at one of the dotted `ignore_paths` as its type.
    The password in a URL is hidden wherever it stands.
    """
    return _redact(value, tuple(ignore), frozenset(ignore_paths), (), hidden=False)


def redact_at(path: tuple[str, ...], value: Any, ignore: Collection[Rule] = DEFAULT_IGNORE) -> Any:
    """Return `value` as `redact` shows it at a place in the configuration: it is secret if any key on the way is."""
    rules = tuple(ignore)
    return _redact(value, rules, frozenset(), path, hidden=any(_matches(key, rules) for key in path))


def _redact(value: Any, ignore: tuple[Rule, ...], paths: frozenset[str], at: tuple[str, ...], *, hidden: bool) -> Any:
    if ".".join(at) in paths:
        return f"<{type(value).__name__}>"
    if isinstance(value, msgspec.Struct):
        value = {field.encode_name: getattr(value, field.name) for field in msgspec.structs.fields(value)}
    if isinstance(value, Mapping):
        return {
            str(key): _redact(item, ignore, paths, (*at, str(key)), hidden=hidden or _matches(str(key), ignore))
            for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [_redact(item, ignore, paths, (*at, str(index)), hidden=hidden) for index, item in enumerate(value)]
    return _hide(value) if hidden else _show(value)


def _matches(key: str, ignore: tuple[Rule, ...]) -> bool:
    return any(key == rule if isinstance(rule, str) else rule.search(key) is not None for rule in ignore)


def _hide(value: Any) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str | bytes | bytearray):
        return f"<{type(value).__name__} len: {len(value)}>"
    return f"<{type(value).__name__}>"


def _show(value: Any) -> Any:
    match value:
        case str():
            shown: Any = _USERINFO.sub(r"\g<before>:***@", value)
        case Enum():
            shown = _show(value.value)
        case None | bool() | int() | float():
            shown = value
        case bytes() | bytearray():
            shown = _hide(value)
        case PurePath() | date() | time() | timedelta():
            shown = str(value)
        case re.Pattern():
            shown = f"/{value.pattern}/"
        case _:
            shown = _name_of(value)
    return shown


def _name_of(value: Any) -> str:
    if isinstance(value, type):
        return f"<class {value.__name__}>"
    if inspect.iscoroutinefunction(value):
        return f"<async function {value.__name__}>"
    if inspect.isroutine(value):
        return f"<function {value.__name__}>"
    return f"<{type(value).__name__}>"
