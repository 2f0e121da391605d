"""The ASGI lifespan protocol: an application's start-up and shutdown around its requests."""

from __future__ import annotations

import asyncio
import logging
from enum import Enum
from typing import Any

from tamago.errors import TamagoError
from tamago.server.asgi import AsgiApp, Message
from tamago.user_traceback import user_traceback

logger = logging.getLogger("tamago.server")


class StartupFailedError(TamagoError):
    """The application said `lifespan.startup.failed`. `detail` is its message, often a traceback."""

    def __init__(self, message: str) -> None:
        super().__init__(
            "the application failed to start: its lifespan start-up raised an error",
            hint="the application's own message is above" if message else "the application gave no reason",
            detail=message.rstrip(),
        )
        self.message = message


class _Phase(Enum):
    """Where the conversation stands."""

    STARTING = "starting"
    RUNNING = "running"
    UNSUPPORTED = "unsupported"
    STOPPING = "stopping"


class Lifespan:
    """One application's lifespan. `state` is filled by the application and copied into each request."""

    def __init__(self, app: AsgiApp, state: dict[str, Any]) -> None:
        self._app = app
        self._state = state
        self._phase = _Phase.STARTING
        self._task: asyncio.Task[None] | None = None
        self._inbox: asyncio.Queue[Message] = asyncio.Queue()
        self._told = asyncio.Event()  # the application answered, or will never
        self._received = False
        self._failure: str | None = None

    async def startup(self) -> None:
        """Return when the application started, or does not speak lifespan. Raises StartupFailedError."""
        self._inbox.put_nowait({"type": "lifespan.startup"})
        self._task = asyncio.get_running_loop().create_task(self._run(), name="lifespan")
        await self._told.wait()
        if self._failure is not None:
            # Some applications say so and then wait for a shutdown that never comes.
            self._task.cancel()
            await asyncio.wait([self._task])
            raise StartupFailedError(self._failure)

    async def shutdown(self) -> None:
        """Return when the application has shut down; what fails in it is logged."""
        if self._task is None or self._phase is not _Phase.RUNNING or self._task.done():
            return
        self._phase = _Phase.STOPPING
        self._told.clear()
        self._inbox.put_nowait({"type": "lifespan.shutdown"})
        await self._told.wait()
        if self._failure is not None:
            logger.error("the application failed to shut down\n%s", self._failure.rstrip())
        # It has said that it is done; whatever it still does must not hold up the worker.
        self._task.cancel()
        await asyncio.wait([self._task])

    async def _run(self) -> None:
        scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": self._state}
        try:
            await self._app(scope, self._receive, self._send)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - the application's; an exit would end the loop before anybody hears why
            self._raised(error)
        finally:
            if self._phase is _Phase.STARTING and self._failure is None:
                self._phase = _Phase.UNSUPPORTED
            self._told.set()

    def _raised(self, error: Exception | SystemExit) -> None:
        if self._failure is not None:
            return  # it told us and raised it as well
        if self._phase is _Phase.STARTING and isinstance(error, SystemExit):
            self._failure = user_traceback(error)  # it wants to go, which is not the same as not knowing this protocol
        elif self._phase is _Phase.STARTING:
            # The specification: an application that raises on this scope doesn't support it, and is served without.
            if self._received:
                logger.warning("the application raised an error in its lifespan start-up; serving without lifespan", exc_info=error)
        else:
            logger.error("the application's lifespan failed", exc_info=error)

    async def _receive(self) -> Message:
        self._received = True
        return await self._inbox.get()

    async def _send(self, message: Message) -> None:
        kind = message["type"]
        if kind == "lifespan.startup.complete" and self._phase is _Phase.STARTING:
            self._phase = _Phase.RUNNING
        elif (kind == "lifespan.startup.failed" and self._phase is _Phase.STARTING) or (
            kind == "lifespan.shutdown.failed" and self._phase is _Phase.STOPPING
        ):
            self._failure = message.get("message", "")
        elif not (kind == "lifespan.shutdown.complete" and self._phase is _Phase.STOPPING):
            raise RuntimeError(f"a lifespan application cannot send {kind!r} now")
        self._told.set()
