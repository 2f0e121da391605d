"""A hosted application's agent: the one process for what must happen once.

An agent is a class with hooks, all optional, sync or async, or a plain async function that runs from `ready` until the agent stops.
The hooks have simple names and Egg's names. In the order they run:

| moment | simple | Egg |
|---|---|---|
| boot: workers wait for it; an old agent may still be active | `start` | `config_did_load`, `did_load`, `will_ready` |
| this agent has booted | | `did_ready` |
| the cluster serves and no other agent is active | `ready` | `server_did_ready` |
| the agent stops | `stop` | `before_close` |

`start` stands for `will_ready`; one name a moment, so a class has the one or the other.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from tamago.errors import TamagoError

_BOOT = ("config_did_load", "did_load", ("start", "will_ready"), "did_ready")
_READY = (("ready", "server_did_ready"),)
_STOP = (("stop", "before_close"),)


class AmbiguousHookError(TamagoError):
    """A class has two hooks for one moment."""

    def __init__(self, name: str, first: str, second: str) -> None:
        super().__init__(
            f"the agent {name} has both {first!r} and {second!r}, which are two names for the same moment",
            hint=f"keep one of them; {first!r} is the simple name, {second!r} Egg's",
        )
        self.hooks = (first, second)


class NotAnAgentError(TamagoError):
    """The object is neither a class with hooks nor an async function."""

    def __init__(self, name: str, *, why: str) -> None:
        super().__init__(
            f"{name} cannot be the agent: {why}",
            hint="an agent is a class with any of the methods start, ready and stop, or `async def agent(): ...`",
        )
        self.name = name


class AgentEndedError(TamagoError):
    """Something of the agent that should run for ever failed; `__cause__` is the agent's own error."""

    def __init__(self, name: str) -> None:
        super().__init__(f"the agent {name} failed", hint="its traceback is above; a fresh agent is started")
        self.name = name


class AgentLife:
    """What the lives of all agents have in common."""

    failed: asyncio.Future[None] | None = None
    phases: Sequence[tuple[str, float]] = ()

    def progress(self) -> str:
        """Nothing is known of what a hosted agent does."""
        return ""


class IdleAgent(AgentLife):
    """Implements `tamago.types.AgentRuntime` for who has no agent: the process runs its built-in chores and nothing else."""

    async def start(self) -> None:
        """Nothing to boot."""

    async def ready(self) -> None:
        """Nothing to do."""

    async def stop(self) -> None:
        """Nothing to finish."""


class HookAgent(AgentLife):
    """Implements `tamago.types.AgentRuntime` with the hooks of a user's class."""

    def __init__(self, name: str, agent: Callable[[], object]) -> None:
        check_hooks(name, agent)
        self._make = agent
        self._agent: object = None

    async def start(self) -> None:
        """Make the agent and run its boot hooks."""
        self._agent = self._make()
        await _call(self._agent, _BOOT)

    async def ready(self) -> None:
        """Tell it that the cluster serves and that it is the only one."""
        await _call(self._agent, _READY)

    async def stop(self) -> None:
        """Tell it to finish."""
        await _call(self._agent, _STOP)


class TaskAgent(AgentLife):
    """Implements `tamago.types.AgentRuntime` with an async function that runs from `ready` until `stop` cancels it.

    `failed` gets the function's error should it raise one. Returning is no failure: then all its work is done.
    """

    def __init__(self, name: str, function: Callable[[], Coroutine[Any, Any, object]]) -> None:
        self._name = name
        self._function = function
        self._task: asyncio.Task[object] | None = None
        self.failed: asyncio.Future[None] | None = None

    async def start(self) -> None:
        """Nothing runs before `ready`."""
        self.failed = asyncio.get_running_loop().create_future()

    async def ready(self) -> None:
        """Start the function."""
        self._task = asyncio.get_running_loop().create_task(self._function(), name=f"agent {self._name}")
        self._task.add_done_callback(self._ended)

    async def stop(self) -> None:
        """Cancel the function and wait for its end."""
        if self._task is not None and not self._task.done():  # what ended by itself has been reported through `failed`
            self._task.remove_done_callback(self._ended)
            self._task.cancel()
            await asyncio.wait([self._task])
            if not self._task.cancelled() and self._task.exception() is not None:
                self._task.result()  # it raised while it finished: the caller's to report

    def _ended(self, task: asyncio.Task[object]) -> None:
        if self.failed is None or self.failed.done() or task.cancelled():
            return
        error = task.exception()
        if error is not None:
            failure = AgentEndedError(self._name)
            failure.__cause__ = error
            self.failed.set_exception(failure)


HostedAgent = IdleAgent | HookAgent | TaskAgent


def make_agent(name: str, agent: object) -> HostedAgent:
    """Return the runtime for what the user calls the agent. Raises NotAnAgentError or AmbiguousHookError."""
    if inspect.iscoroutinefunction(agent):
        if _needs_arguments(agent):
            raise NotAnAgentError(name, why="its function takes arguments, and is called with none")
        return TaskAgent(name, agent)
    if isinstance(agent, type):
        if _needs_arguments(agent):
            raise NotAnAgentError(name, why="its constructor takes arguments, and is called with none")
        return HookAgent(name, agent)
    if callable(agent):
        raise NotAnAgentError(name, why="it is neither a class nor an async function")
    return HookAgent(name, lambda: agent)


def check_hooks(name: str, agent: object) -> None:
    """Refuse an agent with two names for one moment, or with no hook at all."""
    found = False
    for moment in (*_BOOT, *_READY, *_STOP):
        names = [moment] if isinstance(moment, str) else list(moment)
        present = [hook for hook in names if callable(getattr(agent, hook, None))]
        if len(present) > 1:
            raise AmbiguousHookError(name, *present)
        found = found or bool(present)
    if not found and isinstance(agent, type):
        raise NotAnAgentError(name, why="it has none of an agent's methods")


async def _call(agent: object, moments: tuple[str | tuple[str, ...], ...]) -> None:
    for moment in moments:
        for name in (moment,) if isinstance(moment, str) else moment:
            hook = getattr(agent, name, None)
            if callable(hook):
                result = hook()
                if inspect.isawaitable(result):
                    await result


def _needs_arguments(function: Callable[..., object]) -> bool:
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return False
    return any(
        parameter.default is parameter.empty and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
        for parameter in parameters
    )
