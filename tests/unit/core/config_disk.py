"""An application in a temporary directory that is imported as applications are, and forgotten afterwards."""

from __future__ import annotations

import importlib
import sys
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType, ModuleType

from tamago.core.app_info import AppInfo, app_info
from tamago.core.importing import adopt
from tamago.core.plugin_loading import load_plugins
from tamago.core.plugin_resolved import Plugins
from tamago.core.unit import LoadUnit, UnitKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """The application is in `directory`; what is installed beside it is in `site`."""

    directory: Path
    site: Path

    def write(self, name: str, source: str = "") -> Path:
        return _write(self.directory / name, source)

    def install(self, name: str, source: str = "") -> Path:
        return _write(self.site / name, source)

    def plugin(self, name: str, *, says: Mapping[str, object] = MappingProxyType({})) -> None:
        """Write a plugin into the application: `plugins/name/__init__.py`, with what it says of itself."""
        arguments = "".join(f", {key}={value!r}" for key, value in says.items())
        source = f"from tamago.core.plugin import Plugin\nplugin = Plugin(name={name!r}{arguments})\n"
        self.write(f"plugins/{name}/__init__.py", source)

    def framework(self, package: str) -> LoadUnit:
        self.install(f"{package}/__init__.py")
        return LoadUnit(kind=UnitKind.FRAMEWORK, name=package, package=package, directory=self.site / package)

    def app(self) -> LoadUnit:
        return LoadUnit(kind=UnitKind.APP, name="blog", package="", directory=self.directory)

    def info(self, env: str = "prod", scope: str = "") -> AppInfo:
        return app_info(self.directory, env=env, scope=scope, environ={})

    def plugins(self, *frameworks: LoadUnit, env: str = "prod", scope: str = "", variable: str = "") -> Plugins:
        return load_plugins(self.info(env, scope), frameworks, {"TAMAGO_PLUGINS": variable})

    def order(self, *frameworks: LoadUnit, env: str = "prod", scope: str = "", variable: str = "") -> Sequence[str]:
        return [plugin.name for plugin in self.plugins(*frameworks, env=env, scope=scope, variable=variable).enabled]


@contextmanager
def project(tmp_path: Path) -> Iterator[Project]:
    path, modules = list(sys.path), set(sys.modules)
    made = Project(directory=tmp_path / "blog", site=tmp_path / "site")
    made.write("pyproject.toml", '[project]\nname = "blog"\n')
    (made.directory / "config").mkdir()
    made.site.mkdir()
    sys.path.insert(0, str(made.site))
    adopt(made.directory)
    try:
        yield made
    finally:
        # First find them all: a namespace package looks for its own path in its parent.
        made_here = [name for name in set(sys.modules) - modules if _is_below(sys.modules[name], tmp_path)]
        sys.path[:] = path
        for name in made_here:
            del sys.modules[name]


def _write(file: Path, source: str) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(textwrap.dedent(source))
    # Files come faster than the clock of a directory's time stamp ticks.
    importlib.invalidate_caches()
    return file


def _is_below(module: ModuleType, directory: Path) -> bool:
    places = [str(getattr(module, "__file__", None) or ""), *map(str, getattr(module, "__path__", ()))]
    return any(place.startswith(str(directory)) for place in places)
