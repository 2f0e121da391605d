"""What a plugin says about itself, and what an application or a framework says about the plugins it wants."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec


@dataclass(frozen=True, slots=True, kw_only=True)
class Plugin:
    """A plugin's own word; its package exports one as `plugin`.

    ```python
    plugin = Plugin(name="cache", dependencies=("redis",), optional=("metrics",), config=CacheConfig)
    ```

    `dependencies` are loaded before it and enabled with it; `optional` ones are only loaded before it where they are enabled anyway.
    `env` are the environments it is for, all of them when empty. `config` is the typed model of the configuration named like the plugin.
    """

    name: str
    dependencies: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    config: type[msgspec.Struct] | None = None
    version: str = ""


class PluginEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One value of `plugins` in `config/plugin.py`, where True or False is too little.

    `package` is a dotted module, `path` a directory (relative to the one that holds `config/`); one of the two, or neither for a plugin
    that is known by its name. `dependencies`, `optional` and `env` replace what the plugin says itself, unless empty.
    """

    enable: bool = True
    package: str = ""
    path: str = ""
    dependencies: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
