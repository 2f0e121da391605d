"""Every reason why a value is not of a type, where msgspec stops at the first. Pure; only runs once a value was refused."""

from __future__ import annotations

import itertools
import re
import typing
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from msgspec import UNSET, inspect

from tamago.app.binding.bad_values import LONGEST_SHOWN, MOST_SHOWN, as_json
from tamago.app.binding.shapes import ObjectType, object_of, plain

DEEPEST: Final = 20  # levels of a document; below that, msgspec's first reason has to do
MOST_ITEMS: Final = 1000  # of a list that are looked at

_PLACE = re.compile(r" - at `(?:key in )?\$(.*)`\Z")
_GOT = re.compile(r", got `[^`]*`\Z")
_MISSING = re.compile(r"Object missing required field `(.*)`\Z")
_BOOL = re.compile(r"\bbool\b")


@dataclass(frozen=True, slots=True)
class Reason:
    """`place` is where in the value, such as `tags[2].name`, "" for all of it; `value` is UNSET for what is missing."""

    place: str
    value: Any
    expected: str


_Part = tuple[Any, str | int, Any, str]
"""Value, name and type of a field or item, and what was expected if that is clear by now: the field is missing (UNSET), or unknown."""


def reasons(value: Any, annotation: Any, *, strict: bool) -> list[Reason]:
    """Return what is wrong with `value`, the first 21 things of very many; nothing if it is of the type. `strict` as in `msgspec.convert`.

    The limit bounds the work, too: a body of megabytes may be wrong everywhere.
    """
    return list(itertools.islice(_reasons(value, annotation, strict=strict), MOST_SHOWN + 1))


def _reasons(value: Any, annotation: Any, *, strict: bool, place: str = "", depth: int = 0) -> Iterator[Reason]:
    try:
        msgspec.convert(value, annotation, strict=strict, str_keys=True)
    except (ValueError, RecursionError) as error:
        problem = error
    else:
        return
    found = False
    for part, name, part_type, expected in _parts(value, annotation) if depth < DEEPEST else ():
        # The name of an unknown field is the client's, and may be as long as it likes.
        inner = f"{place}[{name}]" if isinstance(name, int) else f"{place}.{name[:LONGEST_SHOWN]}".lstrip(".")
        if expected:
            found = True
            yield Reason(inner, part, expected)
            continue
        for reason in _reasons(part, part_type, strict=strict, place=inner, depth=depth + 1):
            found = True
            yield reason
    if not found:
        yield _reason(problem, value, annotation, place, strict=strict)


def _parts(value: Any, annotation: Any) -> Iterator[_Part]:
    """Yield the fields or items of a value."""
    fields = object_of(inspect.type_info(annotation))
    if fields is not None and isinstance(value, dict) and not getattr(fields, "array_like", False):
        yield from _fields(value, fields)
    item = _item_type(annotation)
    if item is not None and isinstance(value, (list, tuple)):
        for index, part in enumerate(value[:MOST_ITEMS]):
            yield part, index, item, ""


def _fields(value: dict[str, Any], info: ObjectType) -> Iterator[_Part]:
    types = typing.get_type_hints(info.cls, include_extras=True)
    for field in info.fields:
        if field.encode_name in value:
            field_type = types[field.name]
            if typing.get_origin(field_type) in {typing.Required, typing.NotRequired}:
                (field_type,) = typing.get_args(field_type)
            yield value[field.encode_name], field.encode_name, field_type, ""
        elif field.required:
            yield UNSET, field.encode_name, None, describe(field.type)
    if getattr(info, "forbid_unknown_fields", False):
        known = {field.encode_name for field in info.fields} | {getattr(info, "tag_field", None)}
        yield from ((value[name], name, None, "no such field") for name in value if name not in known)


def _item_type(annotation: Any) -> Any:
    """Return the X of `list[X]` and its like, also where None is allowed instead; else None."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return _item_type(arguments[0])
    if origin in {list, set, frozenset} or (origin is tuple and arguments[-1] is Ellipsis):
        return arguments[0]
    others = [argument for argument in arguments if argument is not type(None)]
    return _item_type(others[0]) if len(others) == 1 and len(arguments) == 2 else None


def _reason(error: Exception, value: Any, annotation: Any, place: str, *, strict: bool) -> Reason:
    """Turn msgspec's sentence into ours."""
    text = str(error)
    inner = _PLACE.search(text)
    if inner is not None:
        # It is deeper than we looked.
        text = text[: inner.start()]
        return Reason((place + inner[1]).lstrip("."), "…", _expected(text, strict=strict))
    return Reason(place, value, _choices(plain(inspect.type_info(annotation))) or _expected(text, strict=strict))


def _expected(text: str, *, strict: bool) -> str:
    missing = _MISSING.match(text)
    if missing is not None:
        return f"a field {missing[1]}"
    text = _GOT.sub("", text).replace("`", "")
    if text.startswith("Expected "):
        return _BOOL.sub(lambda _: _truths(strict=strict, alone="|" not in text), text.removeprefix("Expected "))
    return f"a valid {text.removeprefix('Invalid ')}" if text.startswith("Invalid ") else f"another value ({text})"


def _truths(*, strict: bool, alone: bool) -> str:
    """Return how a bool is written, which few clients guess right: JSON has two words, text may be a digit, and `yes` is neither."""
    words = ["true", "false"] if strict else ["true", "false", "1", "0"]
    return f"{', '.join(words[:-1])} or {words[-1]}" if alone else " | ".join(words)


def _choices(info: inspect.Type) -> str:
    if isinstance(info, inspect.EnumType):
        return "one of " + ", ".join(as_json(member.value) for member in info.cls)
    if isinstance(info, inspect.LiteralType):
        return "one of " + ", ".join(map(as_json, info.values))
    return ""


def describe(info: inspect.Type) -> str:
    """Return a type in words a client understands."""
    info = plain(info)
    if isinstance(info, inspect.UnionType):
        return " or ".join(describe(member) for member in info.types)
    choices = _truths(strict=True, alone=True) if isinstance(info, inspect.BoolType) else _choices(info)
    if choices:
        return choices
    fields = object_of(info)
    if fields is not None:
        return "an object"
    return "null" if isinstance(info, inspect.NoneType) else type(info).__name__.removesuffix("Type").lower()
