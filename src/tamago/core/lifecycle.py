"""The life of one process of an application, from its configuration to its end. Egg's `Lifecycle` (3.1, 3.2)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from time import perf_counter
from typing import Any, Final, TypeVar

from tamago.core.boot import Boot
from tamago.core.steps import Step, Steps, noting, raise_all
from tamago.core.timing import Timing
from tamago.errors import TamagoError
from tamago.ready import Ready

_Callback = TypeVar("_Callback", bound=Callable[[], object])
_LOG: Final = logging.getLogger("tamago")


class BootStoppedError(TamagoError):
    """The start was given up before it was through."""

    def __init__(self, unfinished: Sequence[str]) -> None:
        waiting = f"; unfinished: {', '.join(unfinished)}" if unfinished else ""
        super().__init__(f"the start was stopped before the application was ready{waiting}", hint="look into what did not finish")
        self.unfinished = tuple(unfinished)


class TooLateError(TamagoError):
    """Something was registered after the time for it."""

    def __init__(self, what: str, *, when: str) -> None:
        super().__init__(f"{what} was added {when}", hint="add it in the boot class's constructor, `config_did_load` or `did_load`")


class CloseTimeoutError(TamagoError):
    """A `before_close` did not end in time."""

    def __init__(self, where: str, seconds: float) -> None:
        super().__init__(f"{where} did not finish within {seconds:g} s and was cancelled", hint="bound what it waits for")
        self.where = where


class Lifecycle:
    """Calls the hooks of `boots`, which are (name of the file, boot object) in the order of the load units.

    The order is `configure_will`, `configure_did`, `boot`, `server_ready`, `close`; `close` may come at any time. A hook that takes longer
    than `slow_after` seconds is named in `log` while it runs. `on_error` gets what `did_ready` and `server_did_ready` raise, which stops
    nothing.
    """

    def __init__(
        self,
        boots: Sequence[tuple[str, Boot]],
        timing: Timing,
        *,
        slow_after: float = 10.0,
        log: logging.Logger = _LOG,
        on_error: Callable[[Exception], object] | None = None,
    ) -> None:
        self.ready = Ready()
        self.phases: list[tuple[str, float]] = []
        """How many seconds the two halves of `boot` took, once it is through."""
        self._boots = tuple(boots)
        self._steps = Steps(timing, slow_after=slow_after, log=log)
        self._on_error = on_error or (lambda error: log.error("a boot hook failed", exc_info=error))
        self._tasks: list[Step] | None = []  # None once `did_load` is through
        self._closers: list[Step] = []
        self._did_ready: asyncio.Task[None] | None = None
        self._server_ready = False
        self._closing: asyncio.Task[None] | None = None

    def add_boots(self, boots: Iterable[tuple[str, Boot]]) -> None:
        """Have the hooks of these called as well: boot classes are made when there is a life cycle their constructors can use."""
        self._boots += tuple(boots)

    def before_fork(self) -> None:
        """In the nest: call `before_fork` in reverse order. Nothing is caught: what cannot be forked must not be."""
        for where, boot in reversed(self._boots):
            with noting(f"{where}:before_fork"):
                boot.before_fork()

    def after_fork(self) -> None:
        """In each process just forked: call `after_fork` in order."""
        for where, boot in self._boots:
            with noting(f"{where}:after_fork"):
                boot.after_fork()

    async def configure_will(self) -> None:
        """Call `config_will_load`, one unit after the other. An error ends the start and comes through."""
        for step in self._hooks("config_will_load"):
            await self._steps.run(step)

    async def configure_did(self) -> None:
        """Call `config_did_load`, one unit after the other; a unit that is through it gets its `before_close` when the process ends."""
        for name, boot in self._boots:
            for step in _hook(name, boot, "config_did_load"):
                await self._steps.run(step)
            self._closers.extend(_hook(name, boot, "before_close"))

    async def boot(self, last: Step | None = None) -> None:
        """Call `did_load` of all units and every boot task at once, then `will_ready` of all at once, then `last`; then be ready.

        `did_ready` is started then, and nobody waits for it. On an error `ready` fails with it, `did_ready` gets it, and it is raised: as
        it is, or in an ExceptionGroup when several hooks failed.
        """
        began = perf_counter()
        try:
            await self._load()
            loaded = perf_counter()
            await self._steps.together(self._hooks("will_ready"))
            if last is not None:
                await self._steps.run(last)
            self.phases = [("did load", loaded - began), ("will ready", perf_counter() - loaded)]
        except asyncio.CancelledError:
            self.ready.fail(BootStoppedError(self.unfinished()))
            raise
        except Exception as error:
            self.ready.fail(error)
            await self._tell_ready(error)
            raise
        finally:
            self._steps.rest()
        self.ready.set()
        self._did_ready = asyncio.create_task(self._tell_ready(None), name="did_ready")

    async def server_ready(self) -> None:
        """Call `server_did_ready`, one unit after the other, after `did_ready`. A second call does nothing."""
        if self._server_ready:
            return
        self._server_ready = True
        if self._did_ready is not None:
            await asyncio.wait({self._did_ready})
        await self._tell("server_did_ready")

    async def close(self, timeout: float) -> None:  # noqa: ASYNC109  it bounds each callback, not this call
        """Call what `before_close` registered, last registered first, and the units' own among them; each has `timeout` seconds.

        Every one is called, whatever the others do; then their errors are raised, one as it is, several in an ExceptionGroup. Later calls
        wait for the first and end as it does.
        """
        if self._closing is None:
            self._closing = asyncio.create_task(self._close(timeout), name="close")
        await asyncio.shield(self._closing)

    @property
    def closing(self) -> bool:
        """True from the first `close` on."""
        return self._closing is not None

    def add_boot_task(self, name: str, function: Callable[[], Awaitable[object]]) -> None:
        """Have `function` run at the time of `did_load`, and the start wait for it. Egg's `beforeStart`. Raises TooLateError."""
        if self._tasks is None:
            raise TooLateError(f"the boot task {name}", when="after `did_load` was through")
        step = Step(title="Before Start", where=name, call=function)
        if not self._steps.join(step):
            self._tasks.append(step)

    def before_close(self, callback: _Callback) -> _Callback:
        """Have `callback`, sync or async, called when the process ends. Usable as a decorator. Raises TooLateError."""
        if self._closing is not None:
            raise TooLateError(f"the callback {_name(callback)}", when="while the application was closing")
        self._closers.append(Step(title="Before Close", where=_name(callback), call=callback))
        return callback

    def unfinished(self) -> list[str]:
        """Return the hooks and tasks that run now, and those a cancelled `boot` cut off."""
        return self._steps.unfinished()

    async def _load(self) -> None:
        tasks, self._tasks = self._tasks or [], []
        try:
            await self._steps.together([*self._hooks("did_load"), *tasks])
        finally:
            self._tasks = None

    async def _tell_ready(self, error: Exception | None) -> None:
        await self._tell("did_ready", error)

    async def _tell(self, hook: str, *arguments: object) -> None:
        for step in self._hooks(hook, *arguments):
            try:
                await self._steps.run(step)
            except Exception as error:  # noqa: BLE001  the application serves; the listener decides what it means
                self._on_error(error)
        self._steps.rest()

    async def _close(self, seconds: float) -> None:
        errors: list[Exception] = []
        if self._did_ready is not None:
            await asyncio.wait({self._did_ready}, timeout=seconds)
            self._did_ready.cancel()
        while self._closers:
            try:
                await self._finish(self._closers.pop(), seconds)
            except Exception as error:  # noqa: BLE001  raised below, when all had their turn
                errors.append(error)
        self._steps.rest()
        raise_all(errors)

    async def _finish(self, step: Step, seconds: float) -> None:
        task = asyncio.create_task(self._steps.run(step), name=step.where)
        await asyncio.wait({task}, timeout=seconds)
        if task.done() and not task.cancelled():
            task.result()
            return
        # It may refuse to be cancelled, and the others have their turn all the same.
        task.add_done_callback(lambda done: done.cancelled() or done.exception())
        task.cancel()
        raise CloseTimeoutError(step.where, seconds)

    def _hooks(self, hook: str, *arguments: object) -> Iterator[Step]:
        for name, boot in self._boots:
            yield from _hook(name, boot, hook, *arguments)


def _hook(name: str, boot: Boot, hook: str, *arguments: object) -> Iterator[Step]:
    """Yield the step for a hook the boot class defines, nothing for one it leaves to the base class."""
    if getattr(type(boot), hook) is not getattr(Boot, hook):
        method: Callable[..., Any] = getattr(boot, hook)
        yield Step(title=hook.replace("_", " ").title(), where=f"{name}:{hook}", call=lambda: method(*arguments))


def _name(callback: Callable[..., object]) -> str:
    return f"{getattr(callback, '__module__', '?')}.{getattr(callback, '__qualname__', repr(callback))}"
