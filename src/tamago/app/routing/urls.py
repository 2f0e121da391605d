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
    texts = {param.name: _text(param, params[param.name], label) for param in pattern.params}
    path = "/" + "/".join("".join(_part(part, texts) for part in segment) for segment in pattern.segments)
    found = pattern.regex.fullmatch(path.encode())
    if found is None or list(found.groups()) != [text.encode() for text in texts.values()]:
        raise UrlError(f"{path!r} is no URL of {label}", hint=f"in {pattern.template} a value must not hold the text that follows it")
    if pattern.segments and pattern.template.endswith("/"):
        path += "/"
    query = "&".join(_pairs((name, value) for name, value in params.items() if name not in names))
    return f"{path}?{query}" if query else path


def _text(param: Param, value: Any, label: str) -> str:
    converter = param.converter
    # What only `str` can write must be something that `str` writes for others.
    known = converter.format is not str or not isinstance(value, list | tuple | dict | set | frozenset | bytes)
    text = encode_text(converter.format(_plain(value)), slashes=converter.segments) if known else ""
    # Clients take dot segments out of a path before they send it, whether escaped or not.
    if not converter.accepts(text.encode()) or {".", ".."} & set(text.split("/")):
        raise UrlError(f"{value!r} cannot be the {param.name!r} in the URL of {label}", hint=f"it must be the text of a {converter.name}")
    return text


def _part(part: Literal | Param, texts: Mapping[str, str]) -> str:
    return part.text.decode() if isinstance(part, Literal) else texts[part.name]


def _pairs(params: Iterable[tuple[str, Any]]) -> Iterable[str]:
    for name, value in params:
        for item in value if isinstance(value, list | tuple | set | frozenset) else (value,):
            if item is not None:
                yield f"{quote(name, safe='')}={quote(str(_plain(item)), safe='')}"


def _plain(value: Any) -> Any:
    """Return what is written for values whose `str` is Python's."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return value.value if isinstance(value, Enum) else value
