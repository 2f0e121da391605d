"""Get-ready: something becomes ready once, and whoever asked is told, whether it asked before or after.

Owns no event loop and imports none, so that `import tamago` stays light: awaiting needs a running loop, calling back does not.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from threading import Lock
from typing import TYPE_CHECKING, overload

if TYPE_CHECKING:
    import asyncio

Callback = Callable[[], object] | Callable[[Exception | None], object]
"""Called when ready. With a required parameter it is given the error, or None; without one it is called only when there is no error."""

_Waiter = Callable[[Exception | None], object]


class Ready:
    """Callable: `ready(callback)` to be called back, `await ready()` to wait.

    ```python
    ready = Ready()
    ready(lambda: print("serving"))  # queued; a later one is called at once
    ready.set()                      # prints
    await ready()                    # returns at once; raises what `fail` was given
    ```

    Callbacks run in the order they came, each once. `reset` goes back to not ready; callbacks that already ran stay run.
    """

    def __init__(self) -> None:
        self._lock = Lock()  # a WSGI thread may ask while the event loop tells
        self._done = False
        self._error: Exception | None = None
        self._waiters: list[_Waiter] = []

    @property
    def is_ready(self) -> bool:
        """True after `set`; False before it, and after `fail`."""
        return self._done and self._error is None

    @property
    def error(self) -> Exception | None:
        """What `fail` was given."""
        return self._error

    @overload
    def __call__(self) -> Waiting: ...
    @overload
    def __call__(self, callback: Callback) -> None: ...

    def __call__(self, callback: Callback | None = None) -> Waiting | None:
        """Call `callback` when ready, at once if that is now; without one return something to await."""
        if callback is None:
            return Waiting(self)
        waiter = _adapt(callback)
        if self._enqueue(waiter):
            return None
        waiter(self._error)
        return None

    def set(self) -> None:
        """Be ready: call every waiting callback."""
        self._finish(None)

    def fail(self, error: Exception) -> None:
        """Be done with an error: callbacks get it, awaiting raises it, later ones as well."""
        self._finish(error)

    def reset(self) -> None:
        """Be not ready again."""
        with self._lock:
            self._done, self._error = False, None

    def _enqueue(self, waiter: _Waiter) -> bool:
        with self._lock:
            if self._done:
                return False
            self._waiters.append(waiter)
            return True

    def _forget(self, waiter: _Waiter) -> None:
        with self._lock:
            if waiter in self._waiters:
                self._waiters.remove(waiter)

    def _finish(self, error: Exception | None) -> None:
        with self._lock:
            self._done, self._error = True, error
            waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            try:
                waiter(error)
            except Exception as bug:  # noqa: BLE001  one listener's bug must not keep the others waiting
                _report(bug)


class Waiting:
    """What `ready()` returns: awaitable, any number of times, and harmless when it is never awaited."""

    __slots__ = ("_ready",)

    def __init__(self, ready: Ready) -> None:
        self._ready = ready

    def __await__(self) -> Generator[object, None, None]:
        import asyncio  # noqa: PLC0415  whoever awaits has it loaded already

        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()

        def resolve(error: Exception | None) -> None:
            # `set` may be called in another thread, and after this waiter was cancelled and its loop closed.
            if not loop.is_closed():
                loop.call_soon_threadsafe(_resolve, future, error)

        if not self._ready._enqueue(resolve):  # noqa: SLF001
            if self._ready.error is not None:
                raise self._ready.error
            return
        try:
            yield from future
        finally:
            self._ready._forget(resolve)  # noqa: SLF001


def _resolve(future: asyncio.Future[None], error: Exception | None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(None)
    else:
        future.set_exception(error)


def _adapt(callback: Callback) -> _Waiter:
    """Return `callback` as something that takes the error."""
    import inspect  # noqa: PLC0415  not worth loading for those who only await

    if inspect.iscoroutinefunction(callback):
        raise TypeError(f"{callback!r} is a coroutine function, which nobody would await here; use `await ready()` instead")
    try:
        parameters = inspect.signature(callback).parameters.values()
    except ValueError:  # some built-ins have no signature
        parameters = {}.values()
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    if any(p.kind in positional and p.default is p.empty for p in parameters):
        return callback  # type: ignore[return-value]

    def on_success(error: Exception | None) -> None:
        if error is None:
            callback()  # type: ignore[call-arg]

    return on_success


def _report(bug: Exception) -> None:
    import logging  # noqa: PLC0415

    logging.getLogger("tamago").error("a ready callback failed", exc_info=bug)
