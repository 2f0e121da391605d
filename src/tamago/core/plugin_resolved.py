"""The plugins of an application as they stand: which are enabled, in which order, and why."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from tamago.core.plugin import Declaration, PluginEntry
from tamago.core.suggest import did_you_mean
from tamago.core.unit import LoadUnit, UnitKind
from tamago.errors import ExitCode, TamagoError


class UnknownPluginError(TamagoError):
    """Somebody asks for a plugin that is nowhere declared."""

    exit_code = ExitCode.USAGE

    def __init__(self, name: str, plugins: Plugins) -> None:
        names = sorted(plugins.all)
        super().__init__(
            f"no plugin is called {name!r}{did_you_mean(name, names)}",
            hint=f"there are: {', '.join(names)}" if names else "plugins are declared in config/plugin.py",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedPlugin:
    """A plugin as it stands for this application and environment.

    `directory` is None for one that is disabled and was therefore not imported; then only what is declared is known of it. `dependents`
    are the enabled plugins that need it; `implicit`: enabled only because of them. `reason` goes on after its name: "is disabled in …".
    """

    name: str
    enable: bool
    package: str
    directory: Path | None
    dependencies: tuple[str, ...]
    optional: tuple[str, ...]
    env: tuple[str, ...]
    version: str
    declared_in: str
    reason: str
    dependents: tuple[str, ...] = ()
    implicit: bool = False
    config: type[msgspec.Struct] | None = None
    history: tuple[Declaration, ...] = ()

    def to_unit(self) -> LoadUnit:
        """Return it as a load unit. Raises ValueError for one that was not imported."""
        if self.directory is None:
            raise ValueError(f"the plugin {self.name!r} is not loaded")
        return LoadUnit(kind=UnitKind.PLUGIN, name=self.name, package=self.package, directory=self.directory)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plugins:
    """`all` that are declared or needed, and the `enabled` ones in the order they are loaded."""

    all: Mapping[str, ResolvedPlugin]
    enabled: tuple[ResolvedPlugin, ...]

    def units(self) -> tuple[LoadUnit, ...]:
        """Return the enabled plugins as load units."""
        return tuple(plugin.to_unit() for plugin in self.enabled)

    def why(self, name: str) -> list[str]:
        """Say in lines why a plugin is enabled or not, and where it comes from. Raises `UnknownPluginError`."""
        plugin = self.all.get(name)
        if plugin is None:
            raise UnknownPluginError(name, self)
        return list(self._explain(plugin))

    def _explain(self, plugin: ResolvedPlugin) -> Iterator[str]:
        if plugin.enable:
            place = [other.name for other in self.enabled].index(plugin.name) + 1
            yield f"{plugin.name} is enabled, number {place} of {len(self.enabled)} to load"
        else:
            yield f"{plugin.name} is not enabled"
        yield f"it {plugin.reason}"
        if plugin.dependents:
            yield f"needed by {', '.join(plugin.dependents)}"
        if plugin.dependencies:
            yield f"needs {', '.join(plugin.dependencies)}"
        if plugin.optional:
            yield f"loads after, where enabled: {', '.join(plugin.optional)}"
        place_of = f" in {plugin.directory}" if plugin.directory else ""
        yield f"package {plugin.package}{f' {plugin.version}' if plugin.version else ''}{place_of}"
        for word in plugin.history:
            yield f"{word.source}: {_spell(word.entry)}"


def _spell(entry: PluginEntry) -> str:
    said = [f"{name}={value!r}" for name in ("package", "path", "dependencies", "optional", "env") if (value := getattr(entry, name))]
    return ", ".join([f"enable={entry.enable}", *said])
