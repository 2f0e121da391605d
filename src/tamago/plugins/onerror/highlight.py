"""Tells keywords, strings, numbers and comments of Python source apart. Pure."""

from __future__ import annotations

import builtins
import io
import keyword
import tokenize
from collections import defaultdict
from collections.abc import Mapping, Sequence

Span = tuple[int, int, str]
"""Where a token begins and ends in its line, and its kind."""

_BUILTINS = frozenset(dir(builtins))
_FSTRING = frozenset(getattr(tokenize, name, -1) for name in ("FSTRING_START", "FSTRING_MIDDLE", "FSTRING_END"))


def spans(source: Sequence[str]) -> Mapping[int, list[Span]]:
    """Return the tokens worth a colour by line, counted from 1; up to where the source is no Python any more."""
    found: defaultdict[int, list[Span]] = defaultdict(list)
    try:
        for token in tokenize.generate_tokens(io.StringIO("".join(source)).readline):
            if kind := _kind(token):
                _add(found, token, kind)
    except (tokenize.TokenError, SyntaxError):
        pass
    return found


def _kind(token: tokenize.TokenInfo) -> str:
    if token.type == tokenize.STRING or token.type in _FSTRING:
        return "s"
    if token.type == tokenize.NUMBER:
        return "n"
    if token.type == tokenize.COMMENT:
        return "c"
    if token.type != tokenize.NAME:
        return ""
    if keyword.iskeyword(token.string):
        return "k"
    return "b" if token.string in _BUILTINS else ""


def _add(found: dict[int, list[Span]], token: tokenize.TokenInfo, kind: str) -> None:
    (first, start), (last, end) = token.start, token.end
    for line in range(first, last + 1):
        found[line].append((start if line == first else 0, end if line == last else 1_000_000, kind))
