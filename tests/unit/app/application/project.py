"""Whole applications on a temporary disk, led through their life in this process and forgotten afterwards."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from textwrap import dedent
from typing import Any

from tamago.app import Agent, Application
from tamago.core.importing import forget

SMALL = {
    "pyproject.toml": '[project]\nname = "small"\n',
    "config/default.py": "config = {'dump': {'enable': False}, 'logger': {'buffer': False}}\n",
}

HOOKS = """
from tamago.app import Boot

class Telling(Boot):
    fails = ()

    def __init__(self, app):
        super().__init__(app)
        app.told = getattr(app, "told", [])
        self.tell("constructor")

    def tell(self, hook):
        self.app.told.append((hook, __name__.partition(".")[0]))
        if hook in self.fails:
            raise LookupError(f"{hook} failed")

    def before_fork(self): self.tell("before_fork")
    def after_fork(self): self.tell("after_fork")
    async def config_will_load(self): self.tell("config_will_load")
    def config_did_load(self): self.tell("config_did_load")
    async def did_load(self): self.tell("did_load")
    async def will_ready(self): self.tell("will_ready")
    def did_ready(self, error):
        self.app.got = error
        self.tell("did_ready")
    async def server_did_ready(self): self.tell("server_did_ready")
    async def before_close(self): self.tell("before_close")

class AppBoot(Telling): ...
class AgentBoot(Telling): ...
"""
"""A boot file whose hooks are kept in `app.told`, each with the first name of its module."""


def boot(body: str, name: str = "AppBoot") -> str:
    """Return a boot file with these methods."""
    return f"import asyncio\nfrom tamago.app import Boot\n\nclass {name}(Boot):\n" + "".join(
        f"    {line}\n" for line in dedent(body).strip().splitlines()
    )


class Project:
    """The application is in `directory`; plugins and frameworks are packages in `libraries`."""

    def __init__(self, root: Path) -> None:
        self.directory = root / "small"
        self.libraries = root / "libraries"
        self.libraries.mkdir()
        self.write(SMALL)

    def write(self, files: Mapping[str, str]) -> None:
        """Write files of the application."""
        _write(self.directory, files)

    def configure(self, **values: object) -> None:
        """Write config/default.py, with these values beside those that keep an application small."""
        config = {"dump": {"enable": False}, "logger": {"buffer": False}, **values}
        self.write({"config/default.py": f"config = {config!r}\n"})

    def controller(self, body: str, routes: str = "", name: str = "home") -> None:
        """Write a controller with these methods, and a router with these lines."""
        lines = "".join(f"    {line}\n" for line in dedent(body).strip().splitlines())
        title = f"{name.capitalize()}Controller"
        head = "import asyncio\nfrom pathlib import Path\nfrom tamago.app import *\nfrom tamago.app import current\n"
        self.write({f"app/controller/{name}.py": f"{head}\nclass {title}(Controller):\n{lines}"})
        if routes:
            self.router(routes)

    def router(self, lines: str) -> None:
        """Write a router with these lines."""
        body = "".join(f"    {line}\n" for line in dedent(lines).strip().splitlines())
        self.write({"app/router.py": f"def routes(router):\n{body}"})

    def plugin(self, name: str, files: Mapping[str, str], **says: object) -> None:
        """Write a plugin; `enable` says which ones the application wants."""
        arguments = "".join(f", {key}={value!r}" for key, value in says.items())
        source = f"from tamago.app import Plugin\nplugin = Plugin(name={name!r}{arguments})\n"
        _write(self.libraries / name, {"__init__.py": source, **files})

    def enable(self, *names: str) -> None:
        """Write config/plugin.py."""
        said = {name: {"package": name} for name in names}
        self.write({"config/plugin.py": f"plugins = {said!r}\n"})

    def framework(self, name: str, files: Mapping[str, str], base: str = "tamago.app") -> type[Application]:
        """Write a framework on top of another, and import its Application."""
        source = f"import {base} as base\n\nclass Application(base.Application): ...\nclass Agent(base.Agent): ...\n"
        _write(self.libraries / name, {"__init__.py": source, **files})
        framework: type[Application] = __import__(name).Application
        return framework

    def load(self, cls: type[Application] = Application, *, env: str | None = None, scope: str | None = None) -> Any:
        """Return the application, loaded and not started."""
        return cls.load(self.directory, env=env, scope=scope)

    @asynccontextmanager
    async def running(
        self, cls: type[Application] = Application, *, env: str | None = None, scope: str | None = None
    ) -> AsyncIterator[Any]:
        """Have the application run in the block."""
        app = self.load(cls, env=env, scope=scope)
        await app.start()
        try:
            await app.server_ready()
            yield app
        finally:
            await app.close()

    @asynccontextmanager
    async def agent(self) -> AsyncIterator[Any]:
        """Have the application's agent run in the block."""
        agent: Any = Agent.load(self.directory)
        await agent.start()
        try:
            await agent.server_ready()
            yield agent
        finally:
            await agent.close()


@contextmanager
def project(root: Path) -> Iterator[Project]:
    """Have a small application on disk; nothing of it is left in this process afterwards."""
    path = list(sys.path)
    made = Project(root)
    sys.path.insert(0, str(made.libraries))
    try:
        yield made
    finally:
        sys.path[:] = path
        forget(root)


def open_files() -> set[str]:
    """Return what this process has open, by name."""
    names = set()
    for descriptor in os.listdir("/proc/self/fd"):
        try:
            names.add(os.readlink(f"/proc/self/fd/{descriptor}"))
        except FileNotFoundError:  # the one that listed them
            continue
    return names


def _write(directory: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text))
