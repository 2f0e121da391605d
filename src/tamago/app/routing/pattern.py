"""A path with parameters, such as `/posts/{id:int}/comments`, taken apart once and compiled into a regular expression on bytes.

No expression here can backtrack far: a parameter ends at the next slash or, within a segment, where the first character of the text
after it occurs first. So a hostile path costs no more than a walk along it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise, takewhile
from typing import Any
from urllib.parse import quote

from tamago.app.routing.converters import Converter
from tamago.app.routing.errors import RouteError
from tamago.core.suggest import which_one

_PARTS = re.compile(r"\{([^{}]*)\}|([^{}]+)|(.)", re.DOTALL)
_ESCAPE = re.compile(rb"%([0-9A-Fa-f]{2})")
_MAY_STAND_IN_A_PATH = "!$&'()*+,;=:@~"


@dataclass(frozen=True, slots=True)
class Literal:
    """Text that must occur as it is, percent-encoded where a path needs that."""

    text: bytes


@dataclass(frozen=True, slots=True)
class Param:
    """A parameter and the kind of text it takes."""

    name: str
    converter: Converter


Segment = tuple[Literal | Param, ...]
"""What stands between two slashes; never empty."""


def literal_of(segment: Segment) -> bytes | None:
    """Return the text of a segment without parameters."""
    return first.text if len(segment) == 1 and isinstance(first := segment[0], Literal) else None


def param_of(segment: Segment) -> Param | None:
    """Return the parameter that takes the whole segment, if one does."""
    return first if len(segment) == 1 and isinstance(first := segment[0], Param) else None


def key_of(segment: Segment) -> bytes | None:
    """Return what a request must have here byte by byte, or None. Escapes can be sent in two cases, so text with one is no key."""
    text = literal_of(segment)
    return None if text is None or b"%" in text else text


@dataclass(frozen=True)
class Pattern:
    """A parsed path. `template` is what it was written as; a slash at its end makes no difference."""

    template: str
    segments: tuple[Segment, ...]

    @cached_property
    def params(self) -> tuple[Param, ...]:
        """The parameters from left to right."""
        return tuple(part for segment in self.segments for part in segment if isinstance(part, Param))

    @cached_property
    def static(self) -> bytes | None:
        """The one path this matches, or None."""
        keys = [key_of(segment) for segment in self.segments]
        return None if None in keys else b"".join(b"/%b" % key for key in keys if key is not None) or b"/"

    @cached_property
    def lead(self) -> bytes:
        """What every matching path begins with, up to a slash that may be missing at the end of the path."""
        keys = takewhile(lambda key: key is not None, (key_of(segment) for segment in self.segments))
        return b"/" + b"".join(b"%b/" % key for key in keys if key is not None)

    @cached_property
    def shape(self) -> tuple[object, ...]:
        """Equal for two patterns that match the same paths and differ in names at most."""
        return tuple(
            tuple(part.text if isinstance(part, Literal) else part.converter.name for part in segment) for segment in self.segments
        )

    @cached_property
    def source(self) -> bytes:
        """The regular expression as text: a group for each parameter, for `fullmatch` with DOTALL."""
        return b"".join(b"/" + _segment_source(segment) for segment in self.segments) + b"/?" if self.segments else b"/"

    @cached_property
    def regex(self) -> re.Pattern[bytes]:
        """The compiled expression."""
        return re.compile(self.source, re.DOTALL)

    def match(self, path: bytes) -> dict[str, Any] | None:
        """Return the parameters, or None when the path is another. The plain way; tables have a faster one."""
        found = self.regex.fullmatch(path)
        if found is None:
            return None
        try:
            return {param.name: param.converter.convert(raw) for param, raw in zip(self.params, found.groups(), strict=True)}
        except ValueError:
            return None


def parse(template: str, converters: Mapping[str, Converter]) -> Pattern:
    """Take a path apart. Raises RouteError that says what is wrong with it."""
    _check_template(template)
    texts = template.strip("/").split("/") if template.strip("/") else []
    pattern = Pattern(template, tuple(tuple(_parts(text, template, converters)) for text in texts))
    _check_params(pattern)
    return pattern


def _check_template(template: str) -> None:
    if not template.startswith("/"):
        raise RouteError(
            f"the path {template!r} does not begin with a slash",
            hint=f"write '/{template}'; a route's name is given as name=…",
        )
    bare = re.sub(r"\{[^{}]*\}", "x", template)
    if bad := re.search(r"[?#\s\x00-\x1f]", bare):
        raise RouteError(f"the path {template!r} has {bad[0]!r} in it", hint="a path has no query, no fragment and no white space")
    if egg := re.search(r"/:(\w+)", bare):
        raise RouteError(f"the path {template!r} has the parameter ':{egg[1]}'", hint=f"write '{{{egg[1]}}}'")
    if "*" in bare:
        raise RouteError(f"the path {template!r} has a '*' in it", hint="write '{rest:path}' for all that follows")
    if "//" in bare or {".", ".."} & set(bare.split("/")):
        raise RouteError(f"the path {template!r} has a segment that no client sends", hint="no empty segment, no '.' and no '..'")


def _parts(text: str, template: str, converters: Mapping[str, Converter]) -> Iterator[Literal | Param]:
    for inside, literal, stray in _PARTS.findall(text):
        if literal:
            yield Literal(_encoded(literal, template))
        elif stray:
            raise RouteError(f"the path {template!r} has a stray {stray!r}", hint="a parameter is written '{name}' or '{name:converter}'")
        else:
            yield _param(inside, template, converters)


def _encoded(literal: str, template: str) -> bytes:
    data = quote(literal, safe=_MAY_STAND_IN_A_PATH + "%").encode()
    if b"%" in _ESCAPE.sub(b"", data):
        raise RouteError(f"the path {template!r} has a '%' that begins no escape", hint="write '%25' for a percent sign")
    return _ESCAPE.sub(lambda escape: escape[0].upper(), data)


def _param(inside: str, template: str, converters: Mapping[str, Converter]) -> Param:
    name, _, kind = inside.partition(":")
    if not name.isidentifier():
        raise RouteError(
            f"the path {template!r} has a parameter {name!r}", hint="a parameter's name is one of Python's, such as '{post_id}'"
        )
    converter = converters.get(kind or "str")
    if converter is None:
        hint = which_one(kind, converters)
        raise RouteError(f"the path {template!r} uses the unknown converter {kind!r}", hint=f"{hint}; router.converter(…) adds one")
    return Param(name, converter)


def _check_params(pattern: Pattern) -> None:
    names = [param.name for param in pattern.params]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise RouteError(f"the path {pattern.template!r} has the parameter {twice[0]!r} twice", hint="give each a name of its own")
    for segment in pattern.segments:
        kinds = [type(part) for part in segment]
        if (Param, Param) in pairwise(kinds):
            raise RouteError(
                f"the path {pattern.template!r} has two parameters with nothing between them", hint="put text or a slash between"
            )
        if len(segment) > 1 and any(isinstance(part, Param) and part.converter.segments for part in segment):
            raise RouteError(f"the path {pattern.template!r} has a path parameter beside other text", hint="it takes whole segments")
    if sum(param.converter.segments for param in pattern.params) > 1:
        raise RouteError(
            f"the path {pattern.template!r} has two path parameters", hint="where the first one ends is anybody's guess: use one"
        )


def _segment_source(segment: Segment) -> bytes:
    return b"".join(_part_source(part, following) for part, following in zip(segment, (*segment[1:], None), strict=True))


def _part_source(part: Literal | Param, following: Literal | Param | None) -> bytes:
    if isinstance(part, Literal):
        return _ESCAPE.sub(_either_case, re.escape(part.text))
    if part.converter.regex is not None:
        return b"(%b)" % part.converter.regex
    end = re.escape(following.text[:1]) if isinstance(following, Literal) else b""
    return b"([^/%b]++)" % end


def _either_case(escape: re.Match[bytes]) -> bytes:
    return b"%" + b"".join(b"[%b%b]" % (digit.lower(), digit) if digit.isalpha() else digit for digit in (escape[1][:1], escape[1][1:]))
