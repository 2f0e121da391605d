"""All that is wrong with a value that should become a typed model, not only the first thing. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Final, Literal, get_args, get_origin

import msgspec

from tamago.core.suggest import did_you_mean

Key = tuple[str, ...]
"""A path into configuration: ("logger", "level")."""

Models = Mapping[str, type[msgspec.Struct]]
"""The model of each part of configuration that has one, by the name of the part."""

_PYTHON: Final = MappingProxyType({"object": "dict", "array": "list", "null": "None"})
_JSON_WORD = re.compile(r"\b(object|array|null)\b")


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """What is wrong at `path`; `value` is what stands there, msgspec.UNSET where nothing does."""

    path: Key
    text: str
    value: object = msgspec.UNSET


def convert(value: object, wanted: Any) -> Any:
    """Convert strictly, but let a string be a `Path`. Raises msgspec.ValidationError for the first thing that is wrong."""
    return msgspec.convert(value, wanted, strict=True, dec_hook=_custom)


def _custom(wanted: Any, value: object) -> object:
    # msgspec checks afterwards that the result is what was asked for.
    return Path(value) if wanted is Path and isinstance(value, str) else value


def find_problems(value: object, wanted: Any, path: Key = ()) -> Iterator[Problem]:
    """Yield every problem of `value` as a `wanted`: each field of a model, each value of a dict, each item of a list by itself."""
    parts = list(_parts(value, wanted))
    if parts:
        for key, part, part_type in parts:
            yield from find_problems(part, part_type, (*path, key))
    struct = struct_of(wanted)
    if struct is not None and isinstance(value, dict):
        yield from _field_problems(value, struct, path)
    if not parts:
        yield from _leaf_problems(value, wanted, path)


def struct_of(wanted: Any) -> type[msgspec.Struct] | None:
    """Return the one model in a type: of `Model`, `Annotated[Model, …]` and `Model | None`."""
    if get_origin(wanted) is Annotated:
        return struct_of(get_args(wanted)[0])
    candidates = [wanted] if isinstance(wanted, type) else [option for option in get_args(wanted) if isinstance(option, type)]
    structs = [option for option in candidates if not get_args(option) and issubclass(option, msgspec.Struct)]
    return structs[0] if len(structs) == 1 and (isinstance(wanted, type) or type(None) in get_args(wanted)) else None


def _parts(value: object, wanted: Any) -> Iterator[tuple[str, object, Any]]:
    """Yield what can be judged by itself: (key, value, type)."""
    struct = struct_of(wanted)
    if isinstance(value, dict) and struct is not None:
        for known in msgspec.structs.fields(struct):
            if known.encode_name in value:
                yield known.encode_name, value[known.encode_name], known.type
    elif isinstance(value, dict) and get_origin(wanted) in (dict, Mapping):
        _, item_type = get_args(wanted)
        yield from ((str(key), item, item_type) for key, item in value.items())
    elif isinstance(value, list | tuple) and (item_type := _item_type(wanted)) is not None:
        yield from ((str(index), item, item_type) for index, item in enumerate(value))


def _item_type(wanted: Any) -> Any:
    arguments = get_args(wanted)
    if get_origin(wanted) is list or (get_origin(wanted) is tuple and arguments[1:] == (...,)):
        return arguments[0]
    return None


def _field_problems(value: Mapping[str, object], struct: type[msgspec.Struct], path: Key) -> Iterator[Problem]:
    fields = msgspec.structs.fields(struct)
    names = [known.encode_name for known in fields]
    for key in value:
        if key not in names and key != struct.__struct_config__.tag_field:
            yield Problem(path=(*path, str(key)), text=f"there is no such key in {struct.__name__}{did_you_mean(str(key), names)}")
    for known in fields:
        if known.required and known.encode_name not in value:
            yield Problem(path=(*path, known.encode_name), text=f"is required by {struct.__name__}")


def _leaf_problems(value: object, wanted: Any, path: Key) -> Iterator[Problem]:
    struct = struct_of(wanted)
    if struct is not None and isinstance(value, dict):
        return
    if struct is not None and isinstance(value, msgspec.Struct):
        yield Problem(path=path, text=f"must be a dict, so that it merges with the defaults, not a {type(value).__name__}")
        return
    try:
        convert(value, wanted)
    except msgspec.ValidationError as error:
        yield Problem(path=path, text=_choices(wanted) or _in_words_of_python(str(error)), value=value)


def _choices(wanted: Any) -> str:
    """Return "expected one of …" for an Enum or Literal, of which msgspec does not say what there is; "" for any other type."""
    if isinstance(wanted, type) and issubclass(wanted, Enum):
        return f"expected one of {', '.join(repr(member.value) for member in wanted)}"
    if get_origin(wanted) is Literal:
        return f"expected one of {', '.join(map(repr, get_args(wanted)))}"
    options = [option for option in get_args(wanted) if option is not type(None)]
    # Of several types nobody knows which one was meant.
    return _choices(options[0]) if len(options) == 1 and type(None) in get_args(wanted) else ""


def _in_words_of_python(text: str) -> str:
    """Turn "Expected `object | null`, got `array`" into "expected dict | None, got list"; msgspec speaks of JSON."""
    text = re.sub(r"`(.*?)`", lambda found: _JSON_WORD.sub(lambda word: _PYTHON[word[0]], found[1]), text.removesuffix(" - at `$`"))
    return text[:1].lower() + text[1:]


def type_at(wanted: Any, path: Key) -> Any:
    """Return the type of what stands at `path` in a model, None if it has no such field."""
    for key in path:
        struct = struct_of(wanted)
        if struct is not None:
            wanted = next((known.type for known in msgspec.structs.fields(struct) if known.encode_name == key), None)
        elif get_origin(wanted) in (dict, Mapping):
            wanted = get_args(wanted)[1]
        else:
            return None
    return wanted
