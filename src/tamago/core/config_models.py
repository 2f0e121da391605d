"""The typed models of parts of configuration: who declares them, and what they default to."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Any, get_args

import msgspec

from tamago.core.config_errors import ConfigError
from tamago.core.config_merge import DEFAULT_OF, Layer
from tamago.core.config_module import export, file_of
from tamago.core.config_problems import Models, convert, struct_of
from tamago.core.plugin_resolved import ResolvedPlugin
from tamago.core.unit import LoadUnit

_EXAMPLE = 'models = {"mail": MailConfig}'


def collect_models(units: Sequence[LoadUnit], plugins: Iterable[ResolvedPlugin] = ()) -> dict[str, type[msgspec.Struct]]:
    """Gather the models of plugins (`Plugin(config=…)`) and of every `config/models.py`.

    A later unit may replace a model only by one derived from it. Raises `ConfigError` with all problems.
    """
    models: dict[str, type[msgspec.Struct]] = {}
    sources: dict[str, str] = {}
    problems: list[str] = []
    for part, model, source in (*_of_plugins(plugins), *_of_units(units, problems)):
        wrong = _unusable(part, model, source, models.get(part), sources.get(part, ""))
        if wrong:
            problems.append(wrong)
        else:
            models[part], sources[part] = model, source
    if problems:
        raise ConfigError(problems, hint="a model is a class of fields: class MailConfig(msgspec.Struct, frozen=True)")
    return models


def default_layers(models: Models) -> list[Layer]:
    """Return what the models say for what no file sets, so that hooks see complete configuration too."""
    return [
        Layer(origin=f"{DEFAULT_OF}{model.__name__} ({inspect.getfile(model)})", values={part: _defaults(model)}, defines=True)
        for part, model in models.items()
    ]


def _of_plugins(plugins: Iterable[ResolvedPlugin]) -> Iterator[tuple[str, Any, str]]:
    yield from ((plugin.name, plugin.config, plugin.package) for plugin in plugins if plugin.config is not None)


def _of_units(units: Sequence[LoadUnit], problems: list[str]) -> Iterator[tuple[str, Any, str]]:
    for unit in units:
        models = export(unit, "config.models", "models", _EXAMPLE)
        file = str(file_of(unit, "config.models"))
        if isinstance(models, dict):
            yield from ((str(part), model, file) for part, model in models.items())
        elif models is not None:
            problems.append(f"models ({file}) must be a dict such as {_EXAMPLE}, not {type(models).__name__}")


def _unusable(part: str, model: Any, source: str, earlier: type[msgspec.Struct] | None, earlier_source: str) -> str:
    """Return what is wrong with a model, "" if nothing is."""
    if not isinstance(model, type) or not issubclass(model, msgspec.Struct):
        return f"the model of {part!r} ({source}) must be a class derived from msgspec.Struct, not {model!r}"
    if earlier is not None and not issubclass(model, earlier):
        return f"{part!r} has two models, {earlier.__name__} ({earlier_source}) and {model.__name__} ({source}); derive it from the first"
    try:
        writable = next((struct for struct in _nested(model, set()) if not struct.__struct_config__.frozen), None)
        with suppress(msgspec.ValidationError):  # a required field is none of our business, a type that cannot be checked is
            convert({}, model)
    except (TypeError, NameError) as error:
        return f"the model {model.__name__} of {part!r} ({source}) cannot be checked: {str(error).splitlines()[0]}"
    return f"the model {writable.__name__} of {part!r} ({source}) can be written to; declare it with frozen=True" if writable else ""


def _nested(model: type[msgspec.Struct], seen: set[type]) -> Iterator[type[msgspec.Struct]]:
    """Yield a model and all models in its fields."""
    if model in seen:
        return
    seen.add(model)
    yield model
    for field in msgspec.structs.fields(model):
        for inner in _structs_in(field.type):
            yield from _nested(inner, seen)


def _structs_in(wanted: Any) -> Iterator[type[msgspec.Struct]]:
    struct = struct_of(wanted)
    if struct is not None:
        yield struct
        return
    for argument in get_args(wanted):
        yield from _structs_in(argument)


def _defaults(model: type[msgspec.Struct]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for field in msgspec.structs.fields(model):
        if field.default_factory is not msgspec.NODEFAULT:
            values[field.encode_name] = _plain(field.default_factory())
        elif field.default is not msgspec.NODEFAULT:
            values[field.encode_name] = _plain(field.default)
    return values


def _plain(value: Any) -> Any:
    """Turn models into dicts, which merge; everything else stays as it is."""
    if isinstance(value, msgspec.Struct):
        config = value.__struct_config__
        tag = {config.tag_field: config.tag} if config.tag_field is not None else {}
        return tag | {field.encode_name: _plain(getattr(value, field.name)) for field in msgspec.structs.fields(value)}
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_plain(item) for item in value)
    return value
