"""The installed command `tamago`, run as a user runs it, with a home directory of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

INSTALLED = Path(sys.executable).with_name("tamago")
KEPT = ("PATH", "LANG", "LC_ALL", "COVERAGE_PROCESS_START", "COVERAGE_FILE")


class Tamago:
    """Runs the command in `directory`; `home` is its TAMAGO_HOME."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory / "app"
        self.directory.mkdir()
        self.home = directory / "home"
        self.environment = {name: os.environ[name] for name in KEPT if name in os.environ} | {"TAMAGO_HOME": str(self.home)}

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run it to its end."""
        return subprocess.run(
            [INSTALLED, *arguments],
            cwd=self.directory,
            env=self.environment | environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    def write(self, name: str, text: str) -> Path:
        """Write a file of the application."""
        path = self.directory / name
        path.write_text(text)
        return path
