"""What an application tells whoever listens: `app.on("request", …)`."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable
from typing import Any, Literal, TypeVar

from tamago.core.suggest import close_match
from tamago.errors import TamagoError

logger = logging.getLogger("tamago.app")

EventName = Literal["server", "request", "response", "error", "close", "cookie_limit_exceed"]
"""The application's own events.

`server(application)`: it begins to serve. `request(ctx)`, `response(ctx)`: before anything runs, after everything was sent or failed.
`error(error, ctx)`: something failed that no client should see; `ctx` is None outside a request. `close()`: the process is about to end.
`cookie_limit_exceed(name, size, ctx)`: a cookie is larger than browsers keep.
"""

Listener = Callable[..., object]
AnyListener = TypeVar("AnyListener", bound=Listener)

_OWN = ("server", "request", "response", "error", "close", "cookie_limit_exceed")


class UnknownEventError(TamagoError):
    """Nobody ever tells of an event with this name."""

    def __init__(self, name: str, known: list[str], *, others: str = "") -> None:
        close = close_match(name, known)
        super().__init__(
            f"there is no event {name!r}",
            hint=f"did you mean {close!r}?" if close else f"known: {', '.join(known)}{others}",
        )


def refuse_async(listener: Listener) -> None:
    """Raise TypeError for a coroutine function."""
    if inspect.iscoroutinefunction(listener):
        raise TypeError(
            f"{listener!r} is a coroutine function, which nobody would await here; start what must be awaited in a background task"
        )


class Events:
    """Listeners by name. They are called at once and in order; one that fails keeps no other from hearing, and is an `error` itself."""

    def __init__(self) -> None:
        self._listeners: dict[str, list[Listener]] = {name: [] for name in _OWN}

    def declare(self, *names: str) -> None:
        """Make events of a plugin known, such as "session:expired"."""
        for name in names:
            self._listeners.setdefault(name, [])

    def listeners(self, name: str) -> list[Listener]:
        """Return who listens, as a list that stays the same and changes with them. Raises UnknownEventError."""
        try:
            return self._listeners[name]
        except KeyError:
            raise UnknownEventError(name, sorted(self._listeners), others="; a plugin declares others by `app.events.declare`") from None

    def on(self, name: EventName | str, listener: AnyListener) -> AnyListener:
        """Call `listener` each time. Raises UnknownEventError, and TypeError for a coroutine function, which nobody would await."""
        refuse_async(listener)
        self.listeners(name).append(listener)
        return listener

    def once(self, name: EventName | str, listener: Listener) -> None:
        """Call `listener` the next time only."""

        def first(*details: Any) -> object:
            self.off(name, first)
            return listener(*details)

        self.on(name, first)

    def off(self, name: EventName | str, listener: Listener) -> None:
        """Call `listener` no more."""
        listeners = self.listeners(name)
        if listener in listeners:
            listeners.remove(listener)

    def emit(self, name: EventName | str, *details: Any) -> None:
        """Tell all who listen."""
        for listener in list(self.listeners(name)):
            try:
                listener(*details)
            except Exception as error:
                logger.exception("a listener of %r failed", name)
                if name != "error":
                    self.emit("error", error, None)
