"""A load unit: one directory that brings configuration, hooks and code of an application. Egg's `getLoadUnits`."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from pathlib import Path


class UnitKind(Enum):
    """What a load unit is. Later kinds win over earlier ones."""

    PLUGIN = "plugin"
    FRAMEWORK = "framework"
    APP = "app"


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadUnit:
    """A plugin, a framework or the application itself.

    `package` is the importable package that holds it, "" for the application, whose directory stands first on `sys.path`.
    """

    kind: UnitKind
    name: str
    package: str
    directory: Path

    def module_name(self, dotted: str) -> str:
        """Return the full name of a module of this unit, such as `app.service.user`."""
        return f"{self.package}.{dotted}" if self.package else dotted
