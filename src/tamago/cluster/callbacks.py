"""Who wants to be told of which events and commands; one that fails harms nobody else."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from tamago.cluster.events import Command, Event

Happening = TypeVar("Happening", bound=Event | Command)
_log = logging.getLogger("tamago")


class Callbacks:
    """Callbacks by the type of what happens, in the order they came."""

    def __init__(self) -> None:
        self._by_type: dict[type, list[Callable[[Any], object]]] = {}

    def add(self, happening: type[Happening], callback: Callable[[Happening], object]) -> Callable[[], None]:
        """Call back for everything of this type. Returns a function that ends it."""
        callbacks = self._by_type.setdefault(happening, [])
        callbacks.append(callback)
        return lambda: callbacks.remove(callback) if callback in callbacks else None

    def tell(self, happenings: Iterable[Event | Command]) -> None:
        """Call whoever wants to know."""
        for happening in happenings:
            for callback in tuple(self._by_type.get(type(happening), ())):
                try:
                    callback(happening)
                except Exception:  # noqa: BLE001 - the embedder's own
                    _log.exception("a callback for %s failed", type(happening).__name__)
