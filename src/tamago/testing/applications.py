"""Loads and starts an application in the process of its tests, and leaves the process as it was."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import tamago
from tamago.app.current import current
from tamago.cluster.settings_sources import load
from tamago.errors import TamagoError
from tamago.testing.adopting import adopt_alone

_ENV = "unittest"


@asynccontextmanager
async def started(kind: str, directory: Path, *, env: str = _ENV, scope: str = "") -> AsyncIterator[Any]:
    """Have the Application or Agent (`kind`) of a directory run within the block. Raises what its start raises.

    The environment is unittest unless said otherwise, whatever TAMAGO_ENV says: tests must not reach what is configured for others. Its
    code is imported once, and anew only after another directory's.
    """
    application = load_anew(kind, directory, env=env, scope=scope)
    with listeners_restored():
        await tamago.messenger.drain()  # makes it this loop's, so that threads may send
        await application.start()
        try:
            await application.server_ready()
            yield application
        finally:
            # In the task of asynchronous tests; a context that a test made current there can only be taken back there.
            current.set(None)
            await application.close()


def load_anew(kind: str, directory: Path, *, env: str, scope: str) -> Any:
    """Load an application; what was imported of another one is forgotten before."""
    adopt_alone(directory)
    return getattr(framework_of(directory), kind).load(directory, env=env, scope=scope)


def framework_of(directory: Path) -> Any:
    """Return the module of the framework that an application names in its settings, ours if it names none."""
    return import_module(load(str(directory), os.environ, {}).settings.framework or "tamago.app")


@contextmanager
def listeners_restored() -> Iterator[None]:
    """Take back what is subscribed to `tamago.messenger` within the block; what modules subscribed at import stays."""
    listeners = tamago.messenger._listeners.by_action  # noqa: SLF001 - there is no need for it but here
    before = dict(listeners)
    try:
        yield
    finally:
        listeners.clear()
        listeners.update(before)


def client_of(application: Any) -> Any:
    """Return an httpx.AsyncClient that talks to the application in memory. Raises MissingHttpxError."""
    httpx = import_httpx()
    return httpx.AsyncClient(transport=httpx.ASGITransport(app=application), base_url="http://127.0.0.1")


def import_httpx() -> Any:
    """Import httpx. Raises MissingHttpxError."""
    try:
        return import_module("httpx")
    except ModuleNotFoundError as error:
        if error.name != "httpx":
            raise
        raise MissingHttpxError from None


class MissingHttpxError(TamagoError):
    """A fixture needs httpx, which is not installed."""

    def __init__(self) -> None:
        super().__init__("this fixture needs httpx, which is not installed", hint="pip install 'tamago[testing]'")
