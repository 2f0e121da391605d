"""What of a file a request gets: all, a part, nothing new, or a refusal (RFC 9110, 13 and 14). Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from tamago.app.freshness import is_fresh

_RANGE = re.compile(r"bytes\s*=\s*(\d*)\s*-\s*(\d*)\s*", re.IGNORECASE | re.ASCII)


@dataclass(frozen=True, slots=True)
class Whole:
    """All of it."""


@dataclass(frozen=True, slots=True)
class NotModified:
    """The client has it: 304."""


@dataclass(frozen=True, slots=True)
class Failed:
    """It is not what the client thinks it is: 412."""


@dataclass(frozen=True, slots=True)
class Unsatisfiable:
    """The part begins after the end: 416."""


@dataclass(frozen=True, slots=True)
class Part:
    """Bytes `start` up to, but without, `end`: 206."""

    start: int
    end: int


Decision = Whole | NotModified | Failed | Unsatisfiable | Part


def decide(method: str, headers: Mapping[str, str], *, size: int, etag: str, last_modified: str) -> Decision:
    """Decide in the order of RFC 9110, 13.2.2. `etag` is a strong one."""
    match = headers.get("if-match")
    if match is not None and not _names_strong(match, etag):
        return Failed()
    if is_fresh(headers, etag=etag, last_modified=last_modified):
        return NotModified()
    wanted = headers.get("range")
    if method != "GET" or wanted is None or not _holds(headers.get("if-range"), etag, last_modified):
        return Whole()
    return _part(wanted, size)


def _names_strong(conditions: str, etag: str) -> bool:
    return conditions.strip() == "*" or etag in (text.strip() for text in conditions.split(","))


def _holds(if_range: str | None, etag: str, last_modified: str) -> bool:
    """Whether the parts the client has are of this very file; it says so by entity tag or by the exact date."""
    return if_range is None or if_range.strip() in {etag, last_modified}


def _part(wanted: str, size: int) -> Decision:
    """Return the part. Several at once, another unit, and what is no range at all get the whole, as RFC 9110, 14.2 allows."""
    found = _RANGE.fullmatch(wanted.strip())
    if found is None or found[1] == found[2] == "":
        return Whole()
    first, last = found[1], found[2]
    if not first:
        start, end = max(0, size - _number(last)), size
    else:
        start, end = _number(first), min(size, _number(last) + 1) if last else size
        if last and _number(last) < start:
            return Whole()
    return Part(start, end) if start < end else Unsatisfiable()


def _number(digits: str) -> int:
    """Return the number, or one beyond any file's size for what may be too long to convert."""
    return int(digits) if len(digits) <= 18 else 10**18
