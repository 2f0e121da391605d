"""The target for an application that somebody else's framework made, ASGI or WSGI, or a native handler, with an optional agent.

The cluster loads `tamago.server.hosted:HostedTarget` by name and knows it only through the Protocols in `tamago.types`.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from tamago import hooks
from tamago.server import loading
from tamago.server.agent import HostedAgent, IdleAgent, make_agent
from tamago.server.interface import Interface, UnknownInterfaceError, describe, detect, resembles_application
from tamago.server.native import NativeWorker
from tamago.server.worker import AsgiWorker
from tamago.types import AgentContext, TargetSpec, TimedStep, WorkerContext, WorkerRuntime


class HostedTarget:
    """Implements `tamago.types.Target` for a hosted application. `spec.agent` may leave out the attribute: `Agent`, then `agent`."""

    def __init__(self, spec: TargetSpec) -> None:
        self._spec = spec
        self._app: Callable[..., Any] | None = None
        self._interface = Interface.ASGI
        self._agent: object = None
        self._agent_name = ""

    def load(self) -> None:
        """Import the application and the agent. What they raise themselves comes through unchanged."""
        directory = self._spec.directory
        if sys.path[:1] != [directory]:
            sys.path.insert(0, directory)
        if self._spec.app is not None:
            self._load_app(self._spec.app)
        if self._spec.agent is not None:
            self._load_agent(self._spec.agent)

    def check(self) -> None:
        """Importing says all."""

    def worker(self, context: WorkerContext) -> WorkerRuntime:
        """Return the life of a worker."""
        if self._app is None:
            raise loading.BadReferenceError(self._spec.app or "")
        if self._interface is Interface.WSGI:
            from tamago.server.wsgi import WsgiWorker  # noqa: PLC0415 - threads and all: only for who needs it

            return WsgiWorker(self._app, context)
        if self._interface is Interface.NATIVE:
            return NativeWorker(self._app, context)
        return AsgiWorker(self._app, context)

    def agent(self, context: AgentContext) -> HostedAgent:
        """Return the life of the agent. Its `failed`, once started, is a future that gets the error of an agent that fails by itself."""
        del context
        if self._agent is None:
            return IdleAgent()
        return make_agent(self._agent_name, self._agent)

    def before_fork(self) -> None:
        """Run the callbacks of `tamago.hooks.before_fork`."""
        hooks.run_before_fork()

    def after_fork(self) -> None:
        """Run the callbacks of `tamago.hooks.after_fork`."""
        hooks.run_after_fork()

    def timed_steps(self) -> Sequence[TimedStep]:
        """Nothing is known of what a hosted application does."""
        return ()

    def _load_app(self, text: str) -> None:
        reference = loading.parse(text, default="app")
        app = loading.find(reference, self._spec.directory, resembles=resembles_application)
        wanted = None if self._spec.interface == "auto" else Interface(self._spec.interface)
        if reference.call or wanted is Interface.ASGI_FACTORY:
            app, wanted = _made(str(reference), app), None if wanted is Interface.ASGI_FACTORY else wanted
        interface = wanted or detect(str(reference), app)
        if interface is Interface.ASGI_FACTORY:
            app = _made(str(reference), app)
            interface = detect(str(reference), app)
        self._app, self._interface = app, interface
        if interface is Interface.ASGI:
            # Here rather than when a worker first needs it, so that all of them share the memory.
            with suppress(ImportError):  # an extra
                importlib.import_module("tamago.server.websocket")

    def _load_agent(self, text: str) -> None:
        reference = loading.parse(text, default="Agent")
        if ":" not in text:
            module = loading.import_module(reference.module, self._spec.directory)
            if not hasattr(module, "Agent") and hasattr(module, "agent"):
                reference = loading.parse(f"{reference.module}:agent")
        self._agent = loading.find(reference, self._spec.directory, resembles=_resembles_agent)
        self._agent_name = str(reference)
        make_agent(self._agent_name, self._agent)  # to hear of a mistake before anything starts


def _made(name: str, factory: Callable[[], Any]) -> Callable[..., Any]:
    app = factory()
    if not callable(app):
        raise UnknownInterfaceError(name, app, why=f"the factory returned {describe(app)}")
    made: Callable[..., Any] = app
    return made


def _resembles_agent(value: object) -> bool:
    return isinstance(value, type) and any(callable(getattr(value, hook, None)) for hook in ("start", "ready", "stop", "did_load"))
