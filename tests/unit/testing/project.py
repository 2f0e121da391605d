"""Projects on disk and their tests."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tamago.cli.new import write
from tamago.cli.project import named
from tamago.cli.template import render

MYPY_CACHE = Path(__file__).parents[3] / ".mypy_cache/projects"
"""Kept from run to run, as checking the libraries' types anew takes half a minute."""

# Without bytecode, pytest would rewrite the assertions of hypothesis, faker and tamago in each run anew, which is half of its time.
_NOT_OURS = ("PYTEST_", "TAMAGO_", "COVERAGE", "PYTHONDONTWRITEBYTECODE")
# Plugins of ours that its tests do not need, but pytest would load them: a quarter of a second.
_WITHOUT = [word for name in ("randomly", "faker", "hypothesispytest", "cacheprovider") for word in ("-p", f"no:{name}")]
_COUNT = re.compile(r"(\d+) (passed|failed|error)")


@dataclass(frozen=True)
class Outcome:
    """What pytest said."""

    code: int
    text: str

    @property
    def counts(self) -> dict[str, int]:
        return {what: int(count) for count, what in _COUNT.findall(self.text.rstrip().splitlines()[-1])}


@dataclass(frozen=True)
class TestedProject:
    """A directory with tests in it."""

    __test__ = False
    directory: Path

    def write(self, name: str, text: str) -> None:
        path = self.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def environment(self, **more: str) -> dict[str, str]:
        """Without what our own pytest has set: it is another run."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(_NOT_OURS)}
        return kept | {"MYPY_CACHE_DIR": str(MYPY_CACHE)} | more

    def python(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", *arguments],
            cwd=self.directory,
            env=self.environment(**environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    def test(self, *arguments: str, **environment: str) -> Outcome:
        """Run its tests; warnings are errors, as here."""
        done = self.python("pytest", "-q", "-W", "error", *_WITHOUT, *arguments, **environment)
        return Outcome(done.returncode, done.stdout + done.stderr)


def make(directory: Path, template: str) -> TestedProject:
    """Make a project as `tamago new` does."""
    write(directory, render(template, named(directory.name, is_package=template == "plugin")))
    return TestedProject(directory)
