"""What is wrong with the values of a request, told to its client. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence, Sized
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from msgspec import UnsetType

from tamago.app.errors import BadRequestError

LONGEST_SHOWN: Final = 80  # characters of a value
MOST_SHOWN: Final = 20  # bad values of one request
_SECRET = re.compile(
    r"pass|pwd|secret|token|auth(?!ors?\b)|cookie|session|credential|(?:api|access|private|master).?key|signature", re.IGNORECASE
)
_HIDDEN: Final = "***"

Shown = str | int | float | bool | UnsetType | None


class Source(Enum):
    """Where a parameter's value comes from."""

    CONTEXT = "context"
    SERVICE = "service"
    PATH = "path"
    QUERY = "query"
    HEADER = "header"
    COOKIE = "cookie"
    BODY = "body"


@dataclass(frozen=True, slots=True, kw_only=True)
class BadValue:
    """A value that is not what the handler asks for. It stands in `BadRequestError.errors`, and goes to clients as JSON.

    `field` is the name within `source`, such as `page` of the query or `tags[2].name` of the body; "" is all of it.
    `value` is what was given, as far as it may be shown; UNSET (in JSON: absent) when nothing was.
    """

    source: Source
    field: str
    value: Shown
    expected: str

    def __str__(self) -> str:
        return f"{self.source.value} {self.field}".rstrip() + f": expected {self.expected}, got {self._given}"

    @property
    def _given(self) -> str:
        return "nothing" if isinstance(self.value, UnsetType) else as_json(self.value)


class BadPart(BadValue):
    """A value with parts, such as a list. `value` describes it in words, which are told without quotes."""

    __slots__ = ()

    @property
    def _given(self) -> str:
        return str(self.value)


def bad_value(source: Source, field: str, value: Any, expected: str) -> BadValue:
    """Say that `value` should have been what is `expected`; as much of it is kept as may be shown."""
    told = shown(source, field, value)
    kind = BadPart if isinstance(value, (dict, list, tuple, bytes)) and told != _HIDDEN else BadValue
    return kind(source=source, field=field, value=told, expected=expected)


def as_json(value: object) -> str:
    """Return a plain value as its client wrote it: null and true, not None and True. Text is in single quotes: it mostly stands in JSON."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return repr(value)


def shown(source: Source, field: str, value: Any) -> Shown:
    """Return `value` cut to 80 characters, and not at all that of a cookie or of what looks secret: errors are logged."""
    if isinstance(value, UnsetType):
        return value
    if source is Source.COOKIE or _SECRET.search(field):
        return _HIDDEN
    if value is None:
        return None
    if isinstance(value, (bool, float)):
        return value
    # An int that JSON can carry; anything else is shown as text.
    if isinstance(value, int) and abs(value) < 2**63:
        return value
    # Cut before it becomes text: the text of megabytes takes its time.
    text: str = value[: LONGEST_SHOWN + 1] if isinstance(value, str) else _text(value)
    return text if len(text) <= LONGEST_SHOWN else f"{text[: LONGEST_SHOWN - 1]}…"


def _text(value: Any) -> str:
    """Name what is no plain value by what it is; its parts may be secret, and many."""
    if isinstance(value, dict):
        return f"an object of {_count(value, 'field')}"
    if isinstance(value, bytes):
        return _count(value, "byte")
    if isinstance(value, (list, tuple)):
        return f"an array of {_count(value, 'item')}"
    return type(value).__name__ if not isinstance(value, int) else f"a number of {value.bit_length()} bits"


def _count(parts: Sized, what: str) -> str:
    return f"{len(parts)} {what}{'' if len(parts) == 1 else 's'}"


def bad_request(problems: Sequence[BadValue]) -> BadRequestError:
    """Return the error that tells the client all of it."""
    more = "; and more" if len(problems) > MOST_SHOWN else ""
    told = tuple(problems[:MOST_SHOWN])
    return BadRequestError("; ".join(map(str, told)) + more, errors=told, code="bad_value")
