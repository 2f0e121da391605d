"""A place for one test: an application, a TAMAGO_HOME of its own, and the environment its commands run in."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.process import proc
from tests.process.privilege import NOBODY

TAMAGO = Path(sys.executable).with_name("tamago")
_APPS = Path(__file__).with_name("apps")
_NOT_OURS = ("TAMAGO_", "PYTEST_", "COVERAGE", "LISTEN_", "NOTIFY_", "XDG_")
_NOT_EITHER = {"PORT", "WEB_CONCURRENCY", "PYTHONPATH", "PYTHONWARNINGS"}


class Gate:
    """A FIFO that holds up whoever reads it until the test opens it."""

    def __init__(self, path: Path) -> None:
        os.mkfifo(path)
        path.chmod(0o666)
        self.path = path
        self._held = -1

    def open(self) -> None:
        """Let go of everybody who waits; blocks until somebody does."""
        with open(self.path, "wb") as gate:
            gate.write(b"!")

    def open_for_all(self) -> None:
        """Let go of everybody who waits or comes later."""
        # Held open for reading as well, so that what is written stays there for who is late.
        self._held = os.open(self.path, os.O_RDWR | os.O_NONBLOCK)
        os.write(self._held, b"!" * 64)

    def close(self) -> None:
        if self._held >= 0:
            os.close(self._held)
            self._held = -1


class Site:
    """`app` is the application's directory, `home` the TAMAGO_HOME; both are short, for the sake of Unix sockets."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.app = root / "app"
        self.home = root / "home"
        self.title = f"t{secrets.token_hex(3)}"
        # Whatever comes to be below a command of this test carries it.
        self.marker = f"TEST_MARKER={secrets.token_hex(8)}"
        self._gates: list[Gate] = []
        self.app.mkdir()
        shutil.copy(_APPS / "report.py", self.app)

    def use(self, app: str, *, as_: str = "main") -> None:
        """Host the application `apps/<app>.py`."""
        shutil.copy(_APPS / f"{app}.py", self.app / f"{as_}.py")

    def write(self, name: str, text: str) -> Path:
        """Write a file of the application."""
        path = self.app / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def release(self, version: str) -> None:
        """Make the tiny application say another version from its next import on."""
        self.write("version.txt", version)

    def gate(self, name: str) -> Gate:
        self._gates.append(gate := Gate(self.app / name))
        return gate

    def close(self) -> None:
        """Let go of what the test held open."""
        for gate in self._gates:
            gate.close()

    def environment(self, **more: str) -> dict[str, str]:
        kept = {name: text for name, text in os.environ.items() if not name.startswith(_NOT_OURS) and name not in _NOT_EITHER}
        name, _, value = self.marker.partition("=")
        # No pyc: two versions of a module within one second and of one size look the same to the import system.
        # And what Python warns of is shown, so that a test fails by it.
        python = {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONWARNINGS": "default"}
        return kept | python | {"TAMAGO_HOME": str(self.home), "HOME": str(self.root), name: value} | more

    def run(self, *arguments: str, prefix: Sequence[str] = (), **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end, which is when all who inherited its output are gone, and return what it said."""
        return subprocess.run(
            [*prefix, str(TAMAGO), *arguments],
            cwd=self.app,
            env=self.environment(**environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    def give_to_nobody(self) -> None:
        """Let `nobody` own all of it; for root's tests."""
        for path in (self.root, *self.root.rglob("*")):
            os.chown(path, NOBODY, NOBODY)

    def sockets(self) -> list[Path]:
        """The Unix sockets that lie in the run directory."""
        return [path for path in self.home.rglob("*") if path.is_socket()]


@contextmanager
def new_site() -> Iterator[Site]:
    """Make a short directory: the path of a Unix socket in it has at most 107 bytes. In the end nobody may be left in it."""
    assert TAMAGO.exists(), f"the command is not installed beside {TAMAGO}"
    root = Path(tempfile.mkdtemp(prefix="t", dir="/tmp"))
    root.chmod(0o755)
    site = Site(root)
    site.use("tiny")
    try:
        yield site
        left = proc.holders_of(root, site.marker)
        for holder in left:
            proc.end(int(holder.split()[0]))
        assert not left, f"still there: {left}"
    finally:
        site.close()
        shutil.rmtree(root, ignore_errors=True)
