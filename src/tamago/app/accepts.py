"""Which of the offered media types a client likes best (RFC 9110, 12.5.1). Pure."""

from __future__ import annotations

import mimetypes
from functools import lru_cache
from typing import NamedTuple

_SHORT = {
    "html": "text/html",
    "text": "text/plain",
    "json": "application/json",
    "xml": "application/xml",
    "js": "text/javascript",
    "form": "application/x-www-form-urlencoded",
    "multipart": "multipart/form-data",
    "bin": "application/octet-stream",
}


class _Range(NamedTuple):
    kind: str
    subtype: str
    quality: float
    place: int


@lru_cache(maxsize=256)
def media_type(short: str) -> str:
    """Return the media type of a short name or file ending ("json", "html", ".png"); a whole type is itself."""
    if "/" in short:
        return short
    name = short.removeprefix(".").lower()
    return _SHORT.get(name) or mimetypes.guess_type(f"x.{name}")[0] or "application/octet-stream"


@lru_cache(maxsize=256)
def best(accept: str, offered: tuple[str, ...]) -> str | None:
    """Return the offered type that `accept` prefers, as it was offered; None when it takes none. An empty `accept` takes the first."""
    if not accept.strip():
        return offered[0] if offered else None
    ranges = [found for place, text in enumerate(accept.split(",")) if (found := _range(text, place)) is not None]
    ranked = []
    for at, short in enumerate(offered):
        rank = _rank(media_type(short), ranges)
        if rank is not None:
            ranked.append((*rank, at, short))
    return min(ranked)[-1] if ranked else None


def _range(text: str, place: int) -> _Range | None:
    kind, slash, subtype = (part.strip().lower() for part in text.partition(";")[0].partition("/"))
    if not (kind and slash and subtype):
        return None
    quality = 1.0
    for parameter in text.split(";")[1:]:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "q":
            try:
                quality = float(value)
            except ValueError:
                return None
    return _Range(kind, subtype, quality, place)


def _rank(offered: str, ranges: list[_Range]) -> tuple[float, int, int] | None:
    """Return what sorts first for who is liked best: by quality, then by how exactly it is named, then by place in the header."""
    kind, _, subtype = offered.partition("/")
    best_match: tuple[int, _Range] | None = None
    for found in ranges:
        if found.kind in {kind, "*"} and found.subtype in {subtype, "*"}:
            exactness = (found.kind != "*") + (found.subtype != "*")
            # The most exact range decides the quality of a type, whatever broader ones say.
            if best_match is None or exactness > best_match[0]:
                best_match = (exactness, found)
    if best_match is None or best_match[1].quality <= 0:
        return None
    exactness, found = best_match
    return (-found.quality, -exactness, found.place)
