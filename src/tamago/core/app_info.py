"""What is known of an application before any of its configuration is read. Egg's `appInfo`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class AppInfo:
    """Name, place and environment of an application.

    `env` is "prod", "local", "unittest" or a name of your own; `scope` is "" or a name. `root` is where logs and other data go unless told:
    the application's directory in local and unittest, `home` elsewhere.
    """

    name: str
    directory: Path
    env: str
    scope: str
    home: Path
    root: Path
