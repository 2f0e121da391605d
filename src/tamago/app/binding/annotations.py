"""Annotations as objects: one at a time, so that one nobody needs (behind TYPE_CHECKING, say) does no harm."""

from __future__ import annotations

import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from tamago.core.called import written


@dataclass(frozen=True, slots=True)
class Unresolved:
    """An annotation whose names do not exist when the program runs."""

    text: str
    problem: str


def resolve(annotation: Any, namespace: Mapping[str, Any], fallback: Mapping[str, Any] | None = None) -> Any:
    """Return the type an annotation means in `namespace`, `Annotated` included; names that are not there are looked up in `fallback`."""
    holder = SimpleNamespace(__annotations__={"it": annotation})
    try:
        return typing.get_type_hints(holder, {**(fallback or {}), **namespace}, include_extras=True)["it"]
    except Exception as error:  # noqa: BLE001 - an annotation is code, and may raise anything
        return Unresolved(str(annotation), f"{type(error).__name__}: {error}")


def namespace_of(function: Callable[..., Any]) -> Mapping[str, Any]:
    """Return the names a function's annotations are written in."""
    names: Mapping[str, Any] = getattr(written(function), "__globals__", {})
    return names
