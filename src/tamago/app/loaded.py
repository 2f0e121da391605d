"""What is known of an application once its directory has been read: facts, plugins, load units. The first part of every start."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from tamago.core.app_info import AppInfo, app_info
from tamago.core.app_strays import check_app_names
from tamago.core.config_files import import_config
from tamago.core.config_models import collect_models
from tamago.core.config_strays import check_config_names
from tamago.core.importing import adopt
from tamago.core.plugin_loading import load_plugins
from tamago.core.plugin_resolved import Plugins
from tamago.core.timing import Timing
from tamago.core.unit import LoadUnit, UnitKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """An application's directory, read; nothing of it runs yet."""

    info: AppInfo
    plugins: Plugins
    units: tuple[LoadUnit, ...]
    models: Mapping[str, type[msgspec.Struct]]
    timing: Timing

    @property
    def own(self) -> tuple[LoadUnit, ...]:
        """The application's own unit, for what plugins and frameworks cannot bring."""
        return self.units[-1:]


def read_application(framework: type, directory: Path, *, env: str | None, scope: str | None, timing: Timing) -> Loaded:
    """Read the declarations of plugins, order them, and import every file of configuration.

    `framework` is the class whose bases say which frameworks there are. Raises whatever is wrong with the application.
    """
    adopt(directory)
    info = app_info(directory, env=env, scope=scope, environ=os.environ)
    frameworks = tuple(framework_units(framework))
    with timing.measure("Load Plugin"):
        plugins = load_plugins(info, frameworks, os.environ)
    units = (*plugins.units(), *frameworks, LoadUnit(kind=UnitKind.APP, name=info.name, package="", directory=directory))
    check_app_names(units)
    with timing.measure("Import Config"):
        check_config_names(units, info)
        import_config(units, info)
        models = collect_models(units, plugins.enabled)
    return Loaded(info=info, plugins=plugins, units=units, models=models, timing=timing)


def framework_units(framework: type) -> Iterator[LoadUnit]:
    """Yield the package of each class on the way up that exports itself as Application or Agent, the base framework first."""
    packages = (package for cls in reversed(framework.__mro__) if (package := _exported_by(cls)))
    for package in dict.fromkeys(packages):
        place = Path(sys.modules[package].__path__[0])
        yield LoadUnit(kind=UnitKind.FRAMEWORK, name=package, package=package, directory=place)


def _exported_by(cls: type) -> str:
    """Return the package that exports a class as Application or Agent: the one it is defined in, or one above; "" for none."""
    name = cls.__module__
    while name:
        module = sys.modules.get(name)
        exports = vars(module) if module is not None and hasattr(module, "__path__") else {}
        if cls in (exports.get("Application"), exports.get("Agent")):
            return name
        name = name.rpartition(".")[0]
    return ""
