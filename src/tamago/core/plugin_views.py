"""How the plugins of an application look: as rows of a table, as a tree, as a graph. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from typing import Any, assert_never

from tamago.core.plugin_resolved import Plugins, ResolvedPlugin

COLUMNS = ("plugin", "state", "version", "package", "needs", "loads after", "declared in")


class GraphFormat(Enum):
    """How to draw a graph."""

    TREE = "tree"
    MERMAID = "mermaid"
    DOT = "dot"


def rows(plugins: Plugins) -> list[tuple[str, ...]]:
    """Return a row of `COLUMNS` for each plugin: the enabled ones in the order they load, then the others."""
    return [_row(plugin) for plugin in (*plugins.enabled, *_disabled(plugins))]


def describe(plugins: Plugins) -> dict[str, dict[str, Any]]:
    """Return all plugins as plain values, for `application_config.json` and `--json`; Egg's shape with our names."""
    return {
        plugin.name: {
            "enable": plugin.enable,
            "implicit": plugin.implicit,
            "package": plugin.package,
            "path": str(plugin.directory) if plugin.directory else None,
            "dependencies": list(plugin.dependencies),
            "optional": list(plugin.optional),
            "env": list(plugin.env),
            "version": plugin.version,
            "from": plugin.declared_in,
            "dependents": list(plugin.dependents),
            "reason": plugin.reason,
        }
        for plugin in (*plugins.enabled, *_disabled(plugins))
    }


def graph(plugins: Plugins, form: GraphFormat) -> str:
    """Draw who needs whom. An arrow goes from a plugin to what is loaded before it; broken lines are optional."""
    match form:
        case GraphFormat.TREE:
            return "\n".join(_tree(plugins))
        case GraphFormat.MERMAID:
            return "\n".join(_mermaid(plugins))
        case GraphFormat.DOT:
            return "\n".join(_dot(plugins))
        case _:
            assert_never(form)


def _disabled(plugins: Plugins) -> list[ResolvedPlugin]:
    return [plugin for plugin in plugins.all.values() if not plugin.enable]


def _row(plugin: ResolvedPlugin) -> tuple[str, ...]:
    state = ("implicit" if plugin.implicit else "enabled") if plugin.enable else "disabled"
    needs, after = ", ".join(plugin.dependencies), ", ".join(plugin.optional)
    return (plugin.name, state, plugin.version, plugin.package, needs, after, plugin.declared_in)


# ── tree ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _tree(plugins: Plugins) -> Iterator[str]:
    """Begin with the plugins that nobody needs; what was shown once is not unfolded again."""
    shown: set[str] = set()
    for plugin in plugins.enabled:
        if not plugin.dependents:
            yield _label(plugin)
            yield from _branches(plugins, plugin, "", shown)
    for plugin in _disabled(plugins):
        yield f"({plugin.name}: {plugin.reason})"


def _branches(plugins: Plugins, plugin: ResolvedPlugin, indent: str, shown: set[str]) -> Iterator[str]:
    shown.add(plugin.name)
    below = [(name, "") for name in plugin.dependencies] + [(name, " (optional)") for name in plugin.optional if name in plugins.all]
    for number, (name, note) in enumerate(below):
        last = number == len(below) - 1
        other = plugins.all[name]
        state = "" if other.enable else " (disabled)"
        again = name in shown and bool(other.dependencies or other.optional)
        yield f"{indent}{'└─ ' if last else '├─ '}{_label(other)}{note}{state}{' …' if again else ''}"
        if other.enable and name not in shown:
            yield from _branches(plugins, other, indent + ("   " if last else "│  "), shown)


def _label(plugin: ResolvedPlugin) -> str:
    return f"{plugin.name} {plugin.version}" if plugin.version else plugin.name


# ── graphs for other tools ───────────────────────────────────────────────────────────────────────────────────────────


def _edges(plugins: Plugins) -> Iterator[tuple[str, str, bool]]:
    """Yield (plugin, what loads before it, whether it is needed) of what is enabled."""
    enabled = {plugin.name for plugin in plugins.enabled}
    for plugin in plugins.enabled:
        yield from ((plugin.name, name, True) for name in plugin.dependencies)
        yield from ((plugin.name, name, False) for name in plugin.optional if name in enabled)


def _mermaid(plugins: Plugins) -> Iterator[str]:
    yield "graph TD"
    # Ids of our own: `end`, `graph` and others cannot be a node's id in Mermaid.
    ids = {plugin.name: f"p{number}" for number, plugin in enumerate(plugins.enabled)}
    for plugin in plugins.enabled:
        yield f'    {ids[plugin.name]}["{_label(plugin)}"]'
    for name, other, needed in _edges(plugins):
        yield f"    {ids[name]} {'-->' if needed else '-.->'} {ids[other]}"
    for plugin in plugins.enabled:
        if plugin.implicit:
            yield f"    style {ids[plugin.name]} stroke-dasharray: 4"


def _dot(plugins: Plugins) -> Iterator[str]:
    yield "digraph plugins {"
    for plugin in plugins.enabled:
        yield f'    "{plugin.name}" [label="{_label(plugin)}"{", style=dashed" if plugin.implicit else ""}];'
    for name, other, needed in _edges(plugins):
        yield f'    "{name}" -> "{other}"{"" if needed else " [style=dashed]"};'
    yield "}"
