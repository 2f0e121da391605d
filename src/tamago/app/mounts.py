"""Other people's applications below a path of ours: ASGI as it is, WSGI by the `wsgi` extra."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from tamago.app.asgi_exchange import Message, Receive, Scope, Send
from tamago.app.pool_executor import PoolExecutor
from tamago.core.steps import raise_all
from tamago.errors import TamagoError
from tamago.thread_pool import ThreadPool

logger = logging.getLogger("tamago.app")

AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]


class MountError(TamagoError):
    """An application cannot be mounted there."""


@dataclass(frozen=True, slots=True)
class Mount:
    """An application, and the path before its own: `prefix` has no slash at its end.

    `state` is what its lifespan keeps for its requests (ASGI, lifespan state). `prepare(threads)` makes what the mount itself needs, in the
    loop, with that many threads if it takes any; `release` gives it back.
    """

    prefix: str
    app: AsgiApp
    state: dict[str, Any] = field(default_factory=dict)
    prepare: Callable[[int], object] = lambda _: None
    release: Callable[[], object] = lambda: None


class Mounts:
    """What is mounted, longest prefix first."""

    def __init__(self) -> None:
        self._mounts: list[Mount] = []
        self._lifespans: list[MountedLifespan] = []
        self._started = False

    @property
    def prefixes(self) -> tuple[bytes, ...]:
        """Beginnings of request targets that belong to mounted applications; `belongs` says it for certain."""
        return tuple(mount.prefix.encode() for mount in self._mounts)

    def add(self, prefix: str, app: Any) -> None:
        """Mount an ASGI or WSGI application. Raises MountError."""
        if self._started:
            raise MountError(
                f"cannot mount an application at {prefix!r}: ours has started", hint="mount it in a boot class, up to `will_ready`"
            )
        if not callable(app):
            raise MountError(f"cannot mount {app!r} at {prefix!r}", hint="give an ASGI or WSGI application itself, such as `main.app`")
        whole = prefix.rstrip("/")
        if not whole.startswith("/") or "?" in whole or "//" in whole:
            raise MountError(f"cannot mount an application at {prefix!r}", hint="give the beginning of a path, such as `/admin`")
        if any(mount.prefix == whole for mount in self._mounts):
            raise MountError(f"there is an application at {whole!r} already", hint="mount the second one elsewhere")
        self._mounts.append(Mount(whole, app) if is_asgi(app) else _from_wsgi(whole, app))
        self._mounts.sort(key=lambda mount: -len(mount.prefix))

    def of(self, scope: Scope) -> Mount | None:
        """Return what is mounted at or above the path of a scope, which may begin with the root path of all."""
        root = scope.get("root_path", "")
        path: str = scope["path"]
        return self.find(path[len(root) :] if root and path.startswith(root + "/") else path)

    def find(self, path: str) -> Mount | None:
        """Return what is mounted at or above a path."""
        return next((mount for mount in self._mounts if path == mount.prefix or path.startswith(mount.prefix + "/")), None)

    async def __call__(self, mount: Mount, scope: Scope, receive: Receive, send: Send) -> None:
        """Call a mounted application. `root_path` tells it where it is; `path` stays whole (ASGI, HTTP connection scope)."""
        root = scope.get("root_path", "")
        path = scope["path"]
        whole = path if root and path.startswith(root) else root + path
        await mount.app({**scope, "root_path": root + mount.prefix, "path": whole, "state": dict(mount.state)}, receive, send)

    async def start(self, threads: int) -> None:
        """Run the start-up of each; a WSGI one gets `threads` of its own. Raises what fails; `stop` undoes what was done by then."""
        self._started = True
        for mount in self._mounts:
            mount.prepare(threads)
            lifespan = MountedLifespan(mount.app, mount.state)
            self._lifespans.append(lifespan)
            await lifespan.start()

    async def stop(self) -> None:
        """Run the shutdown of each, last started first. Raises what failed, when all had their turn."""
        errors: list[BaseException] = []
        try:
            while self._lifespans:
                try:
                    await self._lifespans.pop().stop()
                except MountError as error:
                    errors.append(error)
        finally:  # their time may be over
            for lifespan in self._lifespans:
                lifespan.abandon()
            self._lifespans.clear()
            for mount in self._mounts:
                mount.release()
        raise_all(errors)


class MountedLifespan:
    """The life of one mounted application (ASGI lifespan). Many have none and raise at the mere question; that is no failure."""

    def __init__(self, app: AsgiApp, state: dict[str, Any]) -> None:
        self._app = app
        self._state = state
        self._said: asyncio.Queue[Message] = asyncio.Queue()
        self._heard: asyncio.Queue[Message | None] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None
        self._knows_lifespan = False

    async def start(self) -> None:
        """Have it start. Raises MountError when it says that it cannot."""
        self._task = asyncio.create_task(self._run(), name="lifespan of a mounted application")
        await self._ask("startup")

    async def stop(self) -> None:
        """Have it end, if it ever started. Raises MountError when it says that it cannot."""
        if self._task is None:
            return
        try:
            if not self._task.done():
                await self._ask("shutdown")
            await asyncio.wait({self._task})
        finally:
            self.abandon()

    def abandon(self) -> None:
        """Wait for it no longer."""
        if self._task is not None:
            self._task.cancel()
        self._task = None

    async def _ask(self, what: str) -> None:
        self._said.put_nowait({"type": f"lifespan.{what}"})
        message = await self._heard.get()
        if message is not None and message["type"] == f"lifespan.{what}.failed":
            raise MountError(f"a mounted application failed at {what}: {message.get('message') or 'it does not say why'}")

    async def _run(self) -> None:
        try:
            scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": self._state}
            await self._app(scope, self._say, self._hear)
        except Exception:
            if self._knows_lifespan:
                logger.exception("a mounted application failed in its lifespan")
        finally:
            self._heard.put_nowait(None)

    async def _say(self) -> Message:
        self._knows_lifespan = True
        return await self._said.get()

    async def _hear(self, message: Message) -> None:
        self._heard.put_nowait(message)


def is_asgi(app: Any) -> bool:
    """Tell an ASGI application from a WSGI one: by being async, else by taking three arguments."""
    call = app if inspect.isroutine(app) else app.__call__
    if inspect.iscoroutinefunction(call):
        return True
    try:
        parameters = inspect.signature(call).parameters.values()
    except (TypeError, ValueError):
        return False
    positional = [item for item in parameters if item.kind in {item.POSITIONAL_ONLY, item.POSITIONAL_OR_KEYWORD}]
    return len(positional) == 3


def _from_wsgi(prefix: str, app: Any) -> Mount:
    try:
        from a2wsgi import WSGIMiddleware  # noqa: PLC0415 - an extra
    except ImportError:
        raise MountError("a WSGI application needs the a2wsgi package to be mounted", hint="run: pip install 'tamago[wsgi]'") from None
    wrapped: Any = WSGIMiddleware(app)

    def prepare(threads: int) -> None:
        # Not the pool of our own handlers: the bridge keeps a thread while a client's body trickles in, so a few slow clients would hold up
        # everybody's requests, and have the worker taken for hung.
        wrapped.executor = PoolExecutor(ThreadPool(size=threads, all_busy=lambda _: None, loop=asyncio.get_running_loop()))

    return Mount(prefix, wrapped, prepare=prepare, release=lambda: wrapped.executor.shutdown(wait=False))
