"""Which files speak for an environment and a scope, in the order they are merged. Pure. Egg's `getTypeFiles`."""

from __future__ import annotations

from tamago.core.app_info import AppInfo


def config_names(info: AppInfo) -> tuple[str, ...]:
    """Return the modules in `config/` that hold configuration: default, scope, env, scope_env."""
    return ("default", *_variants(info))


def plugin_names(info: AppInfo) -> tuple[str, ...]:
    """Return the modules in `config/` that declare plugins: plugin, plugin_scope, plugin_env, plugin_scope_env."""
    return ("plugin", *(f"plugin_{name}" for name in _variants(info)))


def _variants(info: AppInfo) -> list[str]:
    names = [info.scope] if info.scope else []
    if info.env == "default":
        return names
    return [*names, info.env, *([f"{info.scope}_{info.env}"] if info.scope else [])]
