"""What is wrong with the values of a request, told to its client. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from msgspec import UNSET, UnsetType

from tamago.app.errors import BadRequestError

LONGEST_SHOWN: Final = 80  # characters of a value
MOST_SHOWN: Final = 20  # bad values of one request
_SECRET = re.compile(r"pass|secret|token|auth(?!ors?\b)|cookie|session|credential|api.?key|signature", re.IGNORECASE)

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
        given = "nothing" if self.value is UNSET else repr(self.value)
        return f"{self.source.value} {self.field}".rstrip() + f": expected {self.expected}, got {given}"


def shown(source: Source, field: str, value: Any) -> Shown:
    """Return `value` cut to 80 characters, and not at all that of a cookie or of what looks secret: errors are logged."""
    if isinstance(value, UnsetType):
        return value
    if source is Source.COOKIE or _SECRET.search(field):
        return "***"
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
        return f"an object of {len(value)} fields"
    if isinstance(value, (list, tuple, bytes)):
        return f"{len(value)} {'bytes' if isinstance(value, bytes) else 'items'}"
    return type(value).__name__ if not isinstance(value, int) else f"a number of {value.bit_length()} bits"


def bad_request(problems: Sequence[BadValue]) -> BadRequestError:
    """Return the error that tells the client all of it."""
    more = "; and more" if len(problems) > MOST_SHOWN else ""
    told = tuple(problems[:MOST_SHOWN])
    return BadRequestError("; ".join(map(str, told)) + more, errors=told, code="bad_value")
