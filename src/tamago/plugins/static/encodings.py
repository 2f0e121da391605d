"""Which compressed form of a file a client takes (RFC 9110, 12.5.3). Pure."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

SUFFIXES = {"br": ".br", "gzip": ".gz", "zstd": ".zst"}
"""Content codings, and how files in them are named."""


@lru_cache(maxsize=256)
def acceptable(accept_encoding: str, offered: tuple[str, ...]) -> Sequence[str]:
    """Return which of the offered codings a client takes, best first; of those it likes as much, as offered."""
    qualities: dict[str, float] = {}
    for part in accept_encoding.lower().split(","):
        coding, *parameters = (piece.strip() for piece in part.split(";"))
        if coding:
            qualities[{"x-gzip": "gzip"}.get(coding, coding)] = _quality(parameters)
    liked = [(qualities.get(coding, qualities.get("*", 0.0)), coding) for coding in offered]
    identity = qualities.get("identity", 0.0)  # said to be liked better than a coding: then it is
    return [coding for quality, coding in sorted(liked, key=lambda pair: -pair[0]) if quality > 0 and quality >= identity]


def _quality(parameters: Sequence[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0
