"""Writes URLs of named routes: the way back from a route to a path."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Any
from urllib.parse import quote

from tamago.app.routing.converters import encode_text
from tamago.app.routing.errors import UrlError
from tamago.app.routing.pattern import Literal, Param, Pattern


def build_url(pattern: Pattern, params: Mapping[str, Any], *, name: str = "") -> str:
    """Return the path with its parameters filled in; parameters it does not have become the query.

    A list in the query is repeated, None is left out. Raises UrlError for a missing parameter, and for a value whose URL would not lead
    back to this route.
    """
    label = repr(name or pattern.template)
    names = [param.name for param in pattern.params]
    if missing := [name for name in names if params.get(name) is None]:
        raise UrlError(
            f"the URL of {label} needs {', '.join(repr(name) for name in missing)}",
            hint=f"the path is {pattern.template}: give each of its parameters a value",
        )
    segments = ["".join(_part(part, params, label) for part in segment) for segment in pattern.segments]
    path = "/" + "/".join(segments)
    if segments and pattern.template.endswith("/"):
        path += "/"
    query = "&".join(_pairs((name, value) for name, value in params.items() if name not in names))
    return f"{path}?{query}" if query else path


def _part(part: Literal | Param, params: Mapping[str, Any], label: str) -> str:
    if isinstance(part, Literal):
        return part.text.decode()
    value = params[part.name]
    converter = part.converter
    text = encode_text(converter.format(_plain(value)), slashes=converter.segments) if _is_one_value(value) else ""
    # Clients take dot segments out of a path before they send it, whether escaped or not.
    if not converter.accepts(text.encode()) or {".", ".."} & set(text.split("/")):
        raise UrlError(f"{value!r} cannot be the {part.name!r} in the URL of {label}", hint=f"it must be the text of a {converter.name}")
    return text


def _pairs(params: Iterable[tuple[str, Any]]) -> Iterable[str]:
    for name, value in params:
        for item in value if isinstance(value, list | tuple | set | frozenset) else (value,):
            if item is not None:
                yield f"{quote(name, safe='')}={quote(str(_plain(item)), safe='')}"


def _is_one_value(value: Any) -> bool:
    return not isinstance(value, list | tuple | dict | set | frozenset | bytes)


def _plain(value: Any) -> Any:
    """Return what is written for values whose `str` is Python's."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return value.value if isinstance(value, Enum) else value
