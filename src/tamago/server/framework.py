"""The target for an application of a framework, ours or one built on it: its Application in the workers, its Agent in the agent.

The cluster loads `tamago.server.framework:FrameworkTarget` by name. The framework is known by name as well, and through the Protocols in
`tamago.types`: requests go to it without an ASGI dictionary in between; websockets and mounted applications go by ASGI.
"""

from __future__ import annotations

import asyncio
import importlib
import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any

import tamago
from tamago.errors import TamagoError
from tamago.server import loading
from tamago.server.asgi import AsgiExchange
from tamago.server.asgi_websocket import websocket_type
from tamago.server.edge import Edge
from tamago.server.edge_worker import EdgeWorker
from tamago.server.worker import asgi_host
from tamago.types import AgentContext, FrameworkAgent, FrameworkApplication, TargetSpec, TimedStep, WorkerContext

DEFAULT_FRAMEWORK = "tamago.app"


class NotAFrameworkError(TamagoError):
    """The module named as framework lacks what makes it one."""

    def __init__(self, framework: str, missing: str) -> None:
        super().__init__(
            f"the module {framework!r} is no framework: it has no class {missing!r}",
            hint="a framework exports Application and Agent, subclasses of tamago.app.Application and tamago.app.Agent",
        )
        self.framework = framework


class FrameworkTarget:
    """Implements `tamago.types.Target` for an application directory with app/ and config/."""

    def __init__(self, spec: TargetSpec) -> None:
        self._spec = spec

    def load(self) -> None:
        """Import the framework, and have it import the application. What their code raises comes through unchanged."""
        directory = self._spec.directory
        if sys.path[:1] != [directory]:
            sys.path.insert(0, directory)
        name = self._spec.framework or DEFAULT_FRAMEWORK
        framework = loading.import_module(name, directory)
        classes: list[Any] = []
        for wanted in ("Application", "Agent"):
            cls = getattr(framework, wanted, None)
            if not isinstance(cls, type):
                raise NotAFrameworkError(name, wanted)
            classes.append(cls)
        env = tamago.me.env
        self._application: FrameworkApplication = classes[0].load(directory, env=env)
        self._agent: FrameworkAgent = classes[1].load(directory, env=env)
        with suppress(ImportError):  # an extra; here, so that all workers share the memory
            importlib.import_module("tamago.server.websocket")

    def check(self) -> None:
        """Have both check their configuration, which may be async, and what depends on it."""
        asyncio.run(self._check())

    async def _check(self) -> None:
        await self._application.check()
        await self._agent.check()

    def worker(self, context: WorkerContext) -> FrameworkWorker:
        """Return the life of a worker."""
        return FrameworkWorker(self._application, context)

    def agent(self, context: AgentContext) -> FrameworkAgentLife:
        """Return the life of the agent."""
        del context
        return FrameworkAgentLife(self._agent)

    def before_fork(self) -> None:
        """Tell both; who of them is about to be forked is not known here."""
        self._application.before_fork()
        self._agent.before_fork()

    def after_fork(self) -> None:
        """Tell the one that lives on in this process."""
        (self._agent if tamago.me.role is tamago.Role.AGENT else self._application).after_fork()

    def timed_steps(self) -> Sequence[TimedStep]:
        """Return those of both: whoever imports, the nest or a process that was not forked, imports both."""
        return sorted((*self._application.timed_steps(), *self._agent.timed_steps()), key=lambda step: step.began)


class FrameworkExchange(AsgiExchange):
    """One request answered by a framework's application."""

    @property
    def client(self) -> tuple[str, int] | None:
        """Where the request comes from."""
        return self.host.origin(self)[0]

    @property
    def scheme(self) -> str:
        """How the client spoke: http or https."""
        return self.host.origin(self)[1]

    @property
    def root_path(self) -> str:
        """The path under which a proxy shows the application."""
        return self.host.root_path


def _beside(mounts: tuple[bytes, ...], handle: Callable[[Any], Awaitable[object]]) -> Callable[[Any], Awaitable[object]]:
    """Return what calls `handle`, or for a path of a mounted application, which speaks ASGI, that."""

    def choose(exchange: FrameworkExchange) -> Awaitable[object]:
        target = exchange.target
        mounted = target.startswith(mounts) or _may_hide_a_path(target)
        return AsgiExchange.handle(exchange) if mounted else handle(exchange)

    return choose


class FrameworkWorker(EdgeWorker):
    """The life of a worker with a framework's application."""

    def __init__(self, application: FrameworkApplication, context: WorkerContext) -> None:
        super().__init__(context)
        self._application = application
        application.threads_all_busy = context.meter.threads_all_busy
        application.worker_threads = context.options.threads
        self._host = asgi_host(application, context)

    def open_edge(self) -> Edge:
        # A function becomes the method itself, so that nothing stands between the edge and the application.
        handle = _beside(self._application.mounts, self._application.handle) if self._application.mounts else self._application.handle
        exchange = type("FrameworkExchange", (FrameworkExchange, self._host.exchange_type()), {"handle": handle})
        return Edge(self.context, exchange, websocket_type(self._host))

    async def start(self) -> None:
        """Boot the application: configuration, hooks, routes."""
        await self._application.start()
        self.phases = self._application.phases

    def progress(self) -> str:
        """Say which hooks have not finished."""
        return self._application.progress()

    async def ready(self) -> None:
        """Run `server_did_ready`."""
        await self._application.server_ready()

    async def stop(self) -> None:
        """Run `before_close`."""
        await self._application.close()


class FrameworkAgentLife:
    """The life of a framework's agent; implements `tamago.types.AgentRuntime`."""

    failed: asyncio.Future[None] | None = None
    phases: Sequence[tuple[str, float]] = ()

    def __init__(self, agent: FrameworkAgent) -> None:
        self._agent = agent

    async def start(self) -> None:
        """Boot it."""
        await self._agent.start()
        self.phases = self._agent.phases

    def progress(self) -> str:
        """Say which hooks have not finished."""
        return self._agent.progress()

    async def ready(self) -> None:
        """Run `server_did_ready`."""
        await self._agent.server_ready()

    async def stop(self) -> None:
        """Run `before_close`."""
        await self._agent.close()


def _may_hide_a_path(target: bytes) -> bool:
    """Return True for a target whose path is not what it begins with: a whole URL, or one with escapes. By ASGI it is read for certain."""
    return target[:1] != b"/" or b"%" in target.partition(b"?")[0]
