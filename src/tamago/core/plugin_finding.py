"""Finds the package of a declared plugin, imports it and takes the plugin's own word."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import ModuleType

from tamago.core.plugin import Declared, Plugin
from tamago.core.suggest import did_you_mean
from tamago.errors import TamagoError

GROUP = "tamago.plugins"
"""Entry points of this group make plugins known by name."""


class PluginNotFoundError(TamagoError):
    """A plugin that is named but is nowhere."""


class BadPluginError(TamagoError):
    """A package that should be a plugin and is none, or another one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """An imported plugin package."""

    package: str
    directory: Path
    plugin: Plugin
    version: str


class Installed:
    """The plugins that installed distributions offer by name. Read when first asked: that takes longer than importing this package."""

    @cached_property
    def _packages(self) -> dict[str, dict[str, None]]:
        from importlib.metadata import entry_points  # noqa: PLC0415 - as above

        packages: dict[str, dict[str, None]] = {}
        for point in entry_points(group=GROUP):
            packages.setdefault(point.name, {}).setdefault(point.module)
        return packages

    def packages(self, name: str) -> tuple[str, ...]:
        """Return the packages that call themselves a plugin of that name: none, one, or several that are in each other's way."""
        return tuple(self._packages.get(name, ()))

    def names(self) -> list[str]:
        """Return the names of all installed plugins."""
        return sorted(self._packages)


def locate(declared: Declared, directory: Path, installed: Installed, names: Iterable[str]) -> str:
    """Return the dotted package of a plugin. Imports nothing.

    `names` are those that are declared, for a suggestion. Raises `PluginNotFoundError`.
    """
    if declared.path is not None:
        return _dotted(declared, declared.path, directory)
    if declared.package:
        return declared.package
    packages = installed.packages(declared.name)
    where = f" ({declared.source})" if declared.source else ""
    if not packages:
        others = sorted({*installed.names(), *names} - {declared.name})
        raise PluginNotFoundError(
            f"no plugin is called {declared.name!r}{where}{did_you_mean(declared.name, others)}",
            hint=f'install it, or say where it is: "{declared.name}": {{"package": …}} or {{"path": …}}',
        )
    if len(packages) > 1:
        raise PluginNotFoundError(
            f"several installed packages are plugins called {declared.name!r}{where}: {', '.join(packages)}",
            hint=f'choose one: "{declared.name}": {{"package": "{packages[0]}"}}',
        )
    return packages[0]


def load(declared: Declared, package: str) -> Found:
    """Import the plugin and check that it is the one that was meant. What its code raises comes through unchanged."""
    _check_place(declared)
    module = _import(declared, package)
    directory = _directory(declared, module)
    plugin = getattr(module, "plugin", None)
    if not isinstance(plugin, Plugin):
        what = "defines no plugin" if plugin is None else f"defines plugin as a {type(plugin).__name__}"
        raise BadPluginError(
            f"the package {module.__name__!r} of the plugin {declared.name!r} {what}",
            hint=f'write in {directory / "__init__.py"}: plugin = Plugin(name="{declared.name}")',
        )
    if plugin.name != declared.name:
        raise BadPluginError(
            f"the plugin {declared.name!r} ({declared.source}) is {module.__name__!r}, which calls itself {plugin.name!r}",
            hint=f"declare it as {plugin.name!r}",
        )
    return Found(package=module.__name__, directory=directory, plugin=plugin, version=plugin.version or _version(module))


def _check_place(declared: Declared) -> None:
    if declared.path is not None and not declared.path.is_dir():
        raise PluginNotFoundError(
            f"the plugin {declared.name!r} ({declared.source}) should be in {declared.path}, which is no directory", hint="correct its path"
        )


def _dotted(declared: Declared, path: Path, directory: Path) -> str:
    if declared.enable:  # one that is disabled need not be there, wherever it is said to be
        _check_place(declared)
    # By the names as written: a link to elsewhere is still the application's own package.
    path = Path(os.path.normpath(path))
    parts = path.relative_to(directory).parts if path.is_relative_to(directory) else (path.name,)
    if not parts or not all(part.isidentifier() for part in parts):
        raise PluginNotFoundError(
            f"the plugin {declared.name!r} ({declared.source}) is in {path}, which cannot be imported by that name",
            hint="use letters, digits and _ in the names of its directories",
        )
    return ".".join(parts)


def _import(declared: Declared, package: str) -> ModuleType:
    parent = os.path.dirname(os.path.normpath(declared.path)) if declared.path is not None else ""
    if parent and "." not in package and parent not in sys.path:
        # Last, so that nothing beside the plugin hides what is installed or the application's own.
        sys.path.append(parent)
    try:
        return importlib.import_module(package)
    except ModuleNotFoundError as error:
        if error.name is None or not (package == error.name or package.startswith(error.name + ".")):
            raise
        raise PluginNotFoundError(
            f"there is no package {package!r} for the plugin {declared.name!r} ({declared.source})",
            hint=f"install it for {sys.executable}, or disable the plugin",
        ) from None


def _directory(declared: Declared, module: ModuleType) -> Path:
    if module.__file__ is None or not hasattr(module, "__path__"):
        what = "has no __init__.py" if module.__file__ is None else f"is a module ({module.__file__}), not a package"
        raise BadPluginError(
            f"{module.__name__!r}, the plugin {declared.name!r} ({declared.source}), {what}",
            hint="a plugin is a directory whose __init__.py defines `plugin`",
        )
    directory = Path(module.__file__).parent
    if declared.path is not None and not os.path.samefile(directory, declared.path):
        raise BadPluginError(
            f"the plugin {declared.name!r} ({declared.source}) is in {declared.path}, but Python has {module.__name__!r} from {directory}",
            hint="rename its directory",
        )
    return directory


def _version(module: ModuleType) -> str:
    version = getattr(module, "__version__", "")
    return version if isinstance(version, str) else ""
