"""What the dumps in the run directory say of an application besides its configuration: plugins, disabled ones as well, and facts (1.8)."""

from __future__ import annotations

from typing import Any

from tamago.app.loaded import Loaded
from tamago.core.plugin_resolved import ResolvedPlugin


def describe_loaded(loaded: Loaded) -> dict[str, Any]:
    """Return plugins and facts in values of JSON."""
    plugins = {plugin.name: _plugin(plugin) for plugin in loaded.plugins.all.values()}
    info = {name: str(getattr(loaded.info, name)) for name in ("name", "directory", "env", "scope", "home", "root")}
    return {"plugins": plugins, "info": info}


def _plugin(plugin: ResolvedPlugin) -> dict[str, Any]:
    return {
        "enable": plugin.enable,
        "package": plugin.package,
        "path": str(plugin.directory or ""),
        "dependencies": plugin.dependencies,
        "optional": plugin.optional,
        "env": plugin.env,
        "from": plugin.declared_in,
        "version": plugin.version,
        "implicit": plugin.implicit,
        "dependents": plugin.dependents,
    }
