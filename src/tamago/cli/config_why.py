"""`tamago config --why KEY`: who sets a value of an application's own configuration, and who wins."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from tamago.cli.looking_into import load_application, users_code
from tamago.cluster.settings import Settings
from tamago.errors import ExitCode, TamagoError

if TYPE_CHECKING:
    from tamago.core.config_merge import LoadedConfig

_HOOK = "a hook in boot.py (config_will_load or config_did_load)"


class UnknownKeyError(TamagoError):
    """Nobody sets this key."""

    exit_code = ExitCode.USAGE


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """One layer's word, fit to be shown."""

    origin: str
    value: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Why:
    """A key, what it is in the end, and every layer that sets it, of which the last one wins."""

    key: str
    value: Any
    layers: tuple[Said, ...]


def ask(settings: Settings, key: str) -> Why:
    """Load the configuration, hooks and all, and say who sets `key`. Raises UnknownKeyError, and whatever is wrong with the application."""
    application = load_application(settings)
    with users_code():
        return explain(asyncio.run(application.load_configuration()), key)


def explain(loaded: LoadedConfig, key: str) -> Why:
    """Say who sets `key`, secrets redacted. Raises UnknownKeyError."""
    from tamago.core.config_merge import MISSING, lookup, merged, why  # noqa: PLC0415 - the framework, which most commands do without
    from tamago.core.redact import redact_at  # noqa: PLC0415

    path = tuple(key.split("."))
    value = lookup(loaded.values, path)
    said = [Said(origin=writer.origin, value=redact_at(path, writer.value)) for writer in why(loaded.layers, key)]
    if value is MISSING:
        raise _unknown(loaded, path)
    if lookup(merged(loaded.layers), path) != value:
        said.append(Said(origin=_HOOK, value=redact_at(path, value)))
    return Why(key=key, value=redact_at(path, value), layers=tuple(said))


def lines(found: Why) -> Iterator[str]:
    """Yield the answer as text."""
    yield f"{found.key} = {_spell(found.value)}"
    widest = max(len(said.origin) for said in found.layers)
    for said in found.layers:
        mark = "  <- wins" if said is found.layers[-1] and len(found.layers) > 1 and not isinstance(found.value, dict) else ""
        yield f"  {said.origin.ljust(widest)}  {_spell(said.value)}{mark}"


def _spell(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _unknown(loaded: LoadedConfig, path: tuple[str, ...]) -> UnknownKeyError:
    from tamago.core.config_merge import lookup  # noqa: PLC0415 - as above
    from tamago.core.suggest import did_you_mean  # noqa: PLC0415

    depth = next(end for end in range(1, len(path) + 1) if not _has(loaded.values, path[:end]))
    above = lookup(loaded.values, path[: depth - 1])
    names = sorted(map(str, above)) if isinstance(above, dict) else []
    where = f"{'.'.join(path[: depth - 1])} has no key" if depth > 1 else "configuration has no key"
    hint = f"there are: {', '.join(names)}" if names else "it is a value, and nothing is below it"
    return UnknownKeyError(f"{where} {path[depth - 1]!r}{did_you_mean(path[depth - 1], names)}", hint=hint)


def _has(values: Any, path: tuple[str, ...]) -> bool:
    from tamago.core.config_merge import MISSING, lookup  # noqa: PLC0415 - as above

    return lookup(values, path) is not MISSING
