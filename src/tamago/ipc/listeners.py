"""Who listens to which action. Knows nothing of processes, frames or event loops."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from tamago.types import Json

Handler = Callable[[Any], Json | Awaitable[Json]]
"""Takes the data of a message. What it returns answers a request; it may be a coroutine function."""

Unsubscribe = Callable[[], None]


class Once:
    """A handler that leaves the listeners before its first call."""

    __slots__ = ("_action", "_listeners", "handler")

    def __init__(self, listeners: Listeners, action: str, handler: Handler) -> None:
        self._listeners = listeners
        self._action = action
        self.handler = handler

    def __call__(self, data: Any) -> Json | Awaitable[Json]:
        self._listeners.remove_entry(self._action, self)
        return self.handler(data)


class Listeners:
    """Handlers by action, in the order they came."""

    def __init__(self) -> None:
        # Tuples are replaced, never changed, so whoever walks one is not disturbed by a handler that adds or removes.
        self.by_action: dict[str, tuple[Handler, ...]] = {}

    def add(self, action: str, handler: Handler) -> None:
        self.by_action[action] = (*self.by_action.get(action, ()), handler)

    def add_once(self, action: str, handler: Handler) -> Once:
        entry = Once(self, action, handler)
        self.add(action, entry)
        return entry

    def remove(self, action: str, handler: Handler) -> None:
        """Remove the newest registration of `handler`, made by `add` or `add_once`; nothing happens if there is none."""
        for entry in reversed(self.by_action.get(action, ())):
            if entry == handler or (isinstance(entry, Once) and entry.handler == handler):
                self.remove_entry(action, entry)
                return

    def remove_all(self, action: str) -> None:
        self.by_action.pop(action, None)

    def remove_entry(self, action: str, entry: Handler) -> None:
        entries = list(self.by_action.get(action, ()))
        for index in range(len(entries) - 1, -1, -1):
            if entries[index] is entry or (not isinstance(entry, Once) and entries[index] == entry):
                del entries[index]
                break
        if entries:
            self.by_action[action] = tuple(entries)
        else:
            self.by_action.pop(action, None)
