"""From declarations to the plugins of an application: which are enabled, why, and in which order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from tamago.core.app_info import AppInfo
from tamago.core.plugin import Declared
from tamago.core.plugin_declaring import read_declarations
from tamago.core.plugin_finding import Found, Installed, PluginNotFoundError, load, locate
from tamago.core.plugin_graph import Node, PluginOrderError, chain_to, dependents, sequencify
from tamago.core.plugin_resolved import Plugins, ResolvedPlugin
from tamago.core.unit import LoadUnit
from tamago.errors import TamagoError


@dataclass(frozen=True, slots=True, kw_only=True)
class Conflict:
    """A plugin that the application disabled in `source`, and those that need it; `chain` leads to it from one that is enabled."""

    name: str
    source: str
    needing: tuple[str, ...]
    chain: tuple[str, ...]


class DisabledPluginError(TamagoError):
    """The application disabled plugins that enabled ones need."""

    def __init__(self, conflicts: Sequence[Conflict]) -> None:
        lines, ways = [], []
        for conflict in conflicts:
            needing = " and ".join(map(repr, conflict.needing))
            through = f" ({' → '.join(conflict.chain)})" if len(conflict.chain) > 2 else ""
            verb = "needs" if len(conflict.needing) == 1 else "need"
            lines.append(f"the plugin {conflict.name!r} is disabled ({conflict.source}), but {needing} {verb} it{through}")
            ways.append(f"enable {conflict.name!r}, or disable {needing} as well")
        super().__init__("\n".join(lines), hint="; ".join(ways))
        self.conflicts = tuple(conflicts)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Candidates:
    """Every plugin there is; `roots` are those that are to be enabled for their own sake."""

    plugins: Mapping[str, ResolvedPlugin]
    roots: tuple[str, ...]


def load_plugins(info: AppInfo, frameworks: Sequence[LoadUnit], environ: Mapping[str, str]) -> Plugins:
    """Read the declarations, import what is enabled or needed by it, and order it.

    A disabled plugin that nobody needs is not imported, so it need not be installed; where it is must be said all the same. Raises
    `PluginDeclarationError`, `PluginNotFoundError`, `BadPluginError`, `DisabledPluginError` and `PluginOrderError`.
    """
    declared = read_declarations(info, frameworks, environ)
    candidates = _import_needed(info, declared, Installed())
    refused = {name: entry.source for name, entry in declared.items() if entry.refused}
    return _order(info.env, candidates, refused)


def _import_needed(info: AppInfo, declared: Mapping[str, Declared], installed: Installed) -> _Candidates:
    packages = _locate_all(info, declared, installed)
    plugins = {name: _unloaded(entry, packages[name]) for name, entry in declared.items()}
    waiting = [name for name, entry in declared.items() if entry.enable]
    roots = list(waiting)
    seen: set[str] = set()
    for name in waiting:  # grows by what the plugins need
        entry = declared.get(name) or (Declared(name=name) if installed.packages(name) else None)
        if entry is None or entry.refused or name in seen:
            continue
        seen.add(name)
        package = packages.get(name) or locate(entry, info.directory, installed, declared)
        plugins[name] = plugin = _resolve(entry, load(entry, package))
        if _fits(plugin, info.env):
            waiting.extend(plugin.dependencies)
    return _Candidates(plugins=plugins, roots=tuple(name for name in roots if _fits(plugins[name], info.env)))


def _locate_all(info: AppInfo, declared: Mapping[str, Declared], installed: Installed) -> dict[str, str]:
    packages: dict[str, str] = {}
    errors: list[PluginNotFoundError] = []
    for name, entry in declared.items():
        try:
            packages[name] = locate(entry, info.directory, installed, declared)
        except PluginNotFoundError as error:
            errors.append(error)
    if errors:
        hints = dict.fromkeys(error.hint for error in errors)
        raise PluginNotFoundError("\n".join(error.problem for error in errors), hint="; ".join(hints))
    return packages


def _order(env: str, candidates: _Candidates, refused: Mapping[str, str]) -> Plugins:
    fitting, out = _split(candidates.plugins, env)
    nodes = {name: Node(dependencies=plugin.dependencies, optional=plugin.optional) for name, plugin in fitting.items()}
    result = sequencify(nodes, candidates.roots)
    if result.missing or result.recursive:
        raise PluginOrderError(nodes, candidates.roots, result, {name: f"it {plugin.reason}" for name, plugin in out.items()})
    chains = {name: chain_to(nodes, candidates.roots, name) for name in result.order if name not in candidates.roots}
    needed_by = dependents(nodes, result.order)
    conflicts = [
        Conflict(name=name, source=refused[name], needing=needed_by[name], chain=chain) for name, chain in chains.items() if name in refused
    ]
    if conflicts:
        raise DisabledPluginError(conflicts)
    enabled = {name: _enable(fitting[name], chains.get(name, ()), needed_by.get(name, ())) for name in result.order}
    return Plugins(all={**candidates.plugins, **out, **enabled}, enabled=tuple(enabled.values()))


def _split(plugins: Mapping[str, ResolvedPlugin], env: str) -> tuple[dict[str, ResolvedPlugin], dict[str, ResolvedPlugin]]:
    """Return the plugins that are for this environment, and the others."""
    fitting = {name: plugin for name, plugin in plugins.items() if _fits(plugin, env)}
    out = {
        name: replace(plugin, enable=False, reason=f"is only for env {' and '.join(plugin.env)}, and this is {env}")
        for name, plugin in plugins.items()
        if name not in fitting
    }
    return fitting, out


def _fits(plugin: ResolvedPlugin, env: str) -> bool:
    return not plugin.env or env in plugin.env


def _enable(plugin: ResolvedPlugin, chain: tuple[str, ...], needed_by: tuple[str, ...]) -> ResolvedPlugin:
    """`chain` leads from a plugin that was asked for to this one; empty for one that was asked for itself."""
    if not chain:
        return replace(plugin, dependents=needed_by)
    return replace(plugin, enable=True, implicit=True, dependents=needed_by, reason=f"is enabled because it is needed: {' → '.join(chain)}")


def _unloaded(entry: Declared, package: str) -> ResolvedPlugin:
    return ResolvedPlugin(
        name=entry.name,
        enable=entry.enable,
        package=package,
        directory=None,
        dependencies=entry.dependencies,
        optional=entry.optional,
        env=entry.env,
        version="",
        declared_in=entry.source,
        reason=f"is {'enabled' if entry.enable else 'disabled'} in {entry.source}",
        history=entry.history,
    )


def _resolve(entry: Declared, found: Found) -> ResolvedPlugin:
    """Complete what is declared with what the plugin says itself; what is declared wins where it says anything."""
    plugin = found.plugin
    return replace(
        _unloaded(entry, found.package),
        directory=found.directory,
        dependencies=entry.dependencies or plugin.dependencies,
        optional=entry.optional or plugin.optional,
        env=entry.env or plugin.env,
        version=found.version,
        config=plugin.config,
    )
