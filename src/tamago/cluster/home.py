"""Where tamago keeps what it knows about running clusters, and where daemons log. Makes and checks directories, nothing else."""

from __future__ import annotations

import os
import pwd
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tamago.cluster.private_dir import DirectoryError, open_private


@dataclass(frozen=True, slots=True, kw_only=True)
class LogPaths:
    """The two log files of a daemon."""

    stdout: Path
    stderr: Path


def home(environ: Mapping[str, str]) -> Path:
    """Return $TAMAGO_HOME, else $XDG_RUNTIME_DIR/tamago, else ~/.local/state/tamago, else /tmp/tamago-<uid>. Makes nothing.

    The last is for a user without a home directory, as in many containers; like each of them it is used only if it is ours alone.
    """
    for name, below in (("TAMAGO_HOME", ""), ("XDG_RUNTIME_DIR", "tamago")):
        if environ.get(name):
            path = Path(environ[name]) / below
            if not path.is_absolute():
                raise DirectoryError(path, f"{name} is not an absolute path", hint=f"set {name} to an absolute path")
            return path
    own = _home_directory(environ)
    if own is not None:
        return own / ".local" / "state" / "tamago"
    return Path(tempfile.gettempdir()) / f"tamago-{os.geteuid()}"


def _home_directory(environ: Mapping[str, str]) -> Path | None:
    """Return the user's home if there is one we can use: `nobody` has /nonexistent, an arbitrary uid in a container has / or nothing."""
    try:
        entry = pwd.getpwuid(os.geteuid()).pw_dir
    except KeyError:
        entry = ""
    for candidate in (environ.get("HOME", ""), entry):
        path = Path(candidate)
        if candidate and path.is_absolute() and path != Path("/") and path.is_dir() and os.access(path, os.W_OK | os.X_OK):
            return path
    return None


def run_root(base: Path) -> Path:
    """Return the directory with one directory for each title."""
    return base / "run"


def open_log_directory(base: Path, title: str) -> Path:
    """Make `logs/<title>/` (0750) below the home directory and return its path."""
    path = base / "logs" / title
    os.close(open_private(base, create=True, allowed=0o755))
    os.close(open_private(path, create=True, mode=0o750))
    return path


def log_paths(base: Path, title: str, *, stdout: str = "", stderr: str = "", directory: str = ".") -> LogPaths:
    """Say where a daemon logs; `stdout` and `stderr` are the settings, relative to the application's directory."""
    logs = base / "logs" / title
    root = Path(directory)
    return LogPaths(stdout=root / stdout if stdout else logs / "stdout.log", stderr=root / stderr if stderr else logs / "stderr.log")
