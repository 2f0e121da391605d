"""The kinds of path parameters: which text they take, which value they make of it, and how that value is written into a URL.

A converter sees the text as it was sent. Text that is percent-encoded is decoded only here, after the route was found, so that an
encoded slash never ends a segment.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from urllib.parse import quote, unquote_to_bytes
from uuid import UUID

from tamago.app.routing.errors import RouteError

PERCENT = ord("%")  # an int: `37 in data` takes an eighth of the time of `b"%" in data`


@dataclass(frozen=True, slots=True, kw_only=True)
class Converter:
    """One kind of path parameter.

    `regex` is what the text must look like as sent; None takes any text of one segment. It must not backtrack: a request line of 8 KiB
    is matched against it. `convert` makes the value and raises ValueError for text that is none, which means that the route does not match.
    `format` is the way back, before percent-encoding. `segments`: the text may hold slashes and takes whole segments.
    """

    name: str
    regex: bytes | None
    convert: Callable[[bytes], Any]
    format: Callable[[Any], str] = str
    segments: bool = False

    def accepts(self, raw: bytes) -> bool:
        """Return whether this text of one parameter, as sent, is one of mine."""
        if re.fullmatch(self.regex or rb"[^/]+", raw, re.DOTALL) is None:
            return False
        try:
            self.convert(raw)
        except ValueError:
            return False
        return True


def decode_text(raw: bytes) -> str:
    """Return the decoded text. Raises ValueError for what is not UTF-8."""
    return (unquote_to_bytes(raw) if PERCENT in raw else raw).decode()


def _decode_path(raw: bytes) -> str:
    text = decode_text(raw)
    if text.startswith("/"):
        # Joined to a directory it would be an absolute path of somebody's choice.
        raise ValueError(f"{text!r} begins with a slash")
    return text


def _finite(raw: bytes) -> float:
    value = float(raw)
    if math.isinf(value):
        raise ValueError(f"{value} is not a number")
    return value


def _without_exponent(value: Any) -> str:
    return format(Decimal(repr(value)), "f") if isinstance(value, float) and math.isfinite(value) else str(value)


def _uuid(raw: bytes) -> UUID:
    return UUID(raw.decode())


TEXT = Converter(name="str", regex=None, convert=decode_text)
INT = Converter(name="int", regex=rb"[0-9]++", convert=int)
FLOAT = Converter(name="float", regex=rb"[0-9]++(?:\.[0-9]++)?", convert=_finite, format=_without_exponent)
UUID_TEXT = Converter(name="uuid", regex=rb"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}", convert=_uuid)
PATH = Converter(name="path", regex=rb"[^/].*", convert=_decode_path, segments=True)

BUILT_IN = {converter.name: converter for converter in (TEXT, INT, FLOAT, UUID_TEXT, PATH)}


def custom(name: str, regex: str, convert: Callable[[str], Any], format_: Callable[[Any], str]) -> Converter:
    """Return a converter of one segment whose whole decoded text must match `regex`. Raises RouteError for a bad name or regex."""
    if not name.isidentifier():
        raise RouteError(f"{name!r} cannot name a converter", hint="letters, digits and underscores, such as 'slug'")
    try:
        fits = re.compile(regex).fullmatch
    except re.error as error:
        raise RouteError(f"the regex {regex!r} of converter {name!r} is wrong: {error}", hint="see the documentation of re") from error

    def checked(raw: bytes) -> Any:
        text = decode_text(raw)
        if fits(text) is None:
            raise ValueError(f"{text!r} does not match {regex}")
        return convert(text)

    return Converter(name=name, regex=None, convert=checked, format=format_)


def encode_text(text: str, *, slashes: bool) -> str:
    """Return the text as it stands in a path."""
    return quote(text, safe="/" if slashes else "")
