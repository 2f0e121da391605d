"""Values from text, stricter than `int()` and `float()`: no spaces, underscores, foreign digits, `1e3` for an int, or `nan`. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import inspect

from tamago.app.binding.shapes import plain, takes_text_as_it_is

_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]*)")


def text_reader(annotation: Any, info: inspect.Type) -> Callable[[str], Any] | None:
    """Return what makes a value of this type from text, None if text needs no change. It raises ValueError."""
    if takes_text_as_it_is(info):
        return None
    bare = plain(info)
    if isinstance(bare, inspect.IntType):
        return _checked(read_int, annotation, bare)
    if isinstance(bare, inspect.FloatType):
        return _checked(read_float, annotation, bare)

    def read(text: str) -> Any:
        return msgspec.convert(text, annotation, strict=False)

    return read


def read_int(text: str) -> int:
    """Return the integer written in `text` in the one usual way."""
    if _INTEGER.fullmatch(text) is None:
        raise msgspec.ValidationError("Expected `int`")
    return int(text)


def read_float(text: str) -> float:
    """Return the finite number written in `text` as in JSON."""
    value = msgspec.convert(text, float, strict=False)
    if not math.isfinite(value):
        raise msgspec.ValidationError("Expected a finite `float`")
    return value


def _checked(read: Callable[[str], Any], annotation: Any, info: inspect.Type) -> Callable[[str], Any]:
    if info in (inspect.IntType(), inspect.FloatType()):
        return read
    return lambda text: msgspec.convert(read(text), annotation)
