"""Checks merged configuration against models and against what is known at all, and freezes it. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

import msgspec

from tamago.core.config import Config, freeze
from tamago.core.config_environment import is_variable_of
from tamago.core.config_errors import ConfigError
from tamago.core.config_merge import DEFAULT_OF, MISSING, LoadedConfig, clone, lookup, merged, nearest_origin, why
from tamago.core.config_misspelt import misspelt, misspelt_switches
from tamago.core.config_problems import Key, Models, Problem, convert, find_problems, type_at
from tamago.core.redact import redact_at
from tamago.core.suggest import did_you_mean

CONFUSED: Final = MappingProxyType(
    {
        "bodyparser": "body_parser",
        "bodyParser": "body_parser",
        "notFound": "notfound",
        "not_found": "notfound",
        "sitefile": "site_file",
        "siteFile": "site_file",
        "middlewares": "middleware",
        "coreMiddleware": "core_middleware",
        "coreMiddlewares": "core_middleware",
        "core_middlewares": "core_middleware",
        "httpClient": "httpclient",
        "http_client": "httpclient",
        "customLoader": "custom_loader",
        "customLogger": "custom_logger",
    }
)
"""Keys that look right and are not, with the ones that were meant. Egg's `confusedConfigurations`, and Egg's own spellings."""

_SHOWN: Final = 60
"""Characters of a wrong value that are worth showing."""


def check_config(loaded: LoadedConfig, models: Models, types: Mapping[str, Any] = MappingProxyType({})) -> Config:
    """Convert the parts that have a model, and return everything frozen. Raises `ConfigError` with all problems, each with its source.

    `types` are those of parts that are no model but one value, such as a list of names; these are only looked at.
    """
    values = _with_meant_texts(loaded, models)
    sources = _Sources(loaded)
    problems = list(_unknown(loaded, models))
    problems += [
        f"{part}.{key} ({sources.of((part, key))}): means nothing to tamago; did you mean {meant}? "
        f"If not, give {part} a model in config/models.py"
        for part, key, meant in misspelt_switches(values, models)
    ]
    parts: dict[str, msgspec.Struct] = {}
    for part, wanted in types.items():
        problems += map(sources.tell, find_problems(values.get(part), wanted, (part,)))
    for part, model in models.items():
        found = list(find_problems(values.get(part, {}), model, (part,)))
        problems += map(sources.tell, found)
        if not found:
            parts |= _convert(part, values.get(part, {}), model, sources, problems)
    if problems:
        raise ConfigError(problems)
    frozen = freeze({**values, **parts})
    assert isinstance(frozen, Config)  # noqa: S101 - a dict freezes to one
    return frozen


class _Sources:
    """Says who set a value: the layers, or a hook after them."""

    def __init__(self, loaded: LoadedConfig) -> None:
        self._loaded = loaded
        self._before: dict[str, Any] | None = None

    def tell(self, problem: Problem) -> str:
        """Return a problem in a line, with who is to blame."""
        return f"{'.'.join(problem.path)}{_shown(problem.path, problem.value)} ({self.of(problem.path)}): {problem.text}"

    def of(self, path: Key) -> str:
        if self._before is None:
            self._before = merged(self._loaded.layers)
        # A list is one value: an item of it has no origin of its own.
        inner = next((end for end in range(len(path)) if isinstance(lookup(self._loaded.origins, path[:end]), str)), len(path))
        if lookup(self._before, path[:inner]) != lookup(self._loaded.values, path[:inner]):
            return "changed by a hook in boot.py"
        origin = nearest_origin(self._loaded.origins, path)
        if not origin and isinstance(lookup(self._loaded.origins, path), dict):
            writers = [writer.origin for writer in why(self._loaded.layers, ".".join(path))]
            origin = ", ".join(writer for writer in writers if not writer.startswith(DEFAULT_OF)) or ", ".join(writers)
        return origin or "not set anywhere"


def _convert(part: str, value: Any, model: type[msgspec.Struct], sources: _Sources, problems: list[str]) -> dict[str, msgspec.Struct]:
    """Convert a part in which no single value is wrong: now the model's own checks of how they fit together run."""
    try:
        return {part: convert(value, model)}
    except msgspec.ValidationError as error:
        problems.append(f"{part} ({sources.of((part,))}): {error}")
        return {}


def _with_meant_texts(loaded: LoadedConfig, models: Models) -> dict[str, Any]:
    """Take TAMAGO__DB__PASSWORD=0123 or 12e4 as text where the model wants text, although it could be read as a number."""
    values: dict[str, Any] = clone(loaded.values)
    for path, text in loaded.texts.items():
        origin, above = nearest_origin(loaded.origins, path), lookup(values, path[:-1])
        if path[0] not in models or not isinstance(above, dict) or not is_variable_of(path, origin):
            continue
        wanted = type_at(models[path[0]], path[1:])
        if wanted is not None and _fits(text, wanted) and not _fits(above.get(path[-1]), wanted):
            above[path[-1]] = text
    return values


def _fits(value: object, wanted: Any) -> bool:
    try:
        convert(value, wanted)
    except msgspec.ValidationError:
        return False
    return True


def _unknown(loaded: LoadedConfig, models: Models) -> Iterator[str]:
    known = {key for layer in loaded.layers if layer.defines for key in layer.values} | set(models)
    for layer in loaded.layers:
        for key in layer.values:
            meant = CONFUSED.get(key)
            if meant in known:
                yield f"{key} ({layer.origin}): has no meaning; use {meant}"
            elif key not in known:
                close = did_you_mean(str(key), sorted(map(str, known)))
                yield f"{key} ({layer.origin}): there is no such key{close}; a new one must first stand in config/default.py"
            elif layer.defines and (surely := misspelt(key, layer, loaded.layers, models)):
                yield f"{key} ({layer.origin}): is read by nobody; did you mean {surely}? If not, give it a model in config/models.py"


def _shown(path: Key, value: object) -> str:
    """Return "=value" for an error, without secrets and not too long; nothing for what is not there."""
    if value is msgspec.UNSET or value is MISSING:
        return ""
    text = repr(redact_at(path, value))
    return f"={text if len(text) <= _SHOWN else text[: _SHOWN - 1] + '…'}"
