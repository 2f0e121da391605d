"""The application under the installed command, with processes of its own. Egg's `mm.cluster`."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Self

from tamago.testing.applications import import_httpx

if TYPE_CHECKING:
    import httpx


class TestedCluster:
    """What the fixture `cluster` is: `client` is an httpx.Client whose base is `url`. Starts when entered, and is gone when left."""

    __test__ = False  # its name says otherwise to pytest
    url: str
    client: httpx.Client

    def __init__(self, directory: Path, *, workers: int = 1) -> None:
        self.directory = directory
        self._workers = workers
        # Not pytest's: the path of a Unix socket has at most 107 bytes.
        self._home = Path(tempfile.mkdtemp(prefix="tamago-"))

    def __enter__(self) -> Self:
        httpx = import_httpx()
        try:
            started = self.tamago("start", str(self.directory), "--daemon", "--json", *self._flags())
        except BaseException:
            self._remove()
            raise
        facts = json.loads(started)
        self.title, self.pid = facts["title"], facts["pid"]
        self.url = facts["addresses"][0].rstrip("/")
        # Without what the environment says of proxies: it is this machine.
        self.client = httpx.Client(base_url=self.url, trust_env=False, timeout=30)
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()
        try:
            self.tamago("stop", "--title", self.title)
        finally:
            self._remove()

    def _flags(self) -> tuple[str, ...]:
        return ("--bind", "127.0.0.1:0", "--workers", str(self._workers), "--env", "unittest")

    def tamago(self, *arguments: str) -> str:
        """Run a command, such as `tamago("reload", "--title", cluster.title)`, and return what it prints.

        Raises AssertionError with everything that was logged if it fails.
        """
        __tracebackhide__ = True
        done = subprocess.run(
            [sys.executable, "-P", "-m", "tamago", *arguments],
            cwd=self.directory,
            env=os.environ | {"TAMAGO_HOME": str(self._home)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise AssertionError(f"tamago {' '.join(arguments)} ended with {done.returncode}:\n{done.stderr}{self.log}")
        return done.stdout

    @property
    def log(self) -> str:
        """What master, agent and workers wrote to their standard output and error so far."""
        return "".join(path.read_text("utf-8", "replace") for path in sorted(self._home.glob("logs/*/std*.log")))

    def _remove(self) -> None:
        shutil.rmtree(self._home, ignore_errors=True)
