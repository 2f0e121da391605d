"""What a plugin says about itself, and what an application or a framework says about the plugins it wants."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec

from tamago.errors import TamagoError


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

    def __post_init__(self) -> None:
        """Raise `PluginWordError` for ("redis"), which is text and not a tuple: its letters would be taken for names."""
        for field_name in ("dependencies", "optional", "env"):
            value = getattr(self, field_name)
            if not isinstance(value, tuple) or not all(isinstance(item, str) for item in value):
                raise PluginWordError(self.name, field_name, value)


class PluginWordError(TamagoError):
    """A plugin says something of itself in the wrong form."""

    def __init__(self, name: str, field_name: str, value: object) -> None:
        example = f'("{value}",)' if isinstance(value, str) else '("redis", "mail")'
        super().__init__(f"Plugin(name={name!r}, {field_name}={value!r}): must be a tuple of names", hint=f"write {field_name}={example}")


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Declaration:
    """One word about one plugin. `source` is the file, or TAMAGO_PLUGINS; a relative path in it starts at `base`."""

    entry: PluginEntry
    source: str
    base: Path
    by_app: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """All that is said about one plugin, merged; `history` has every word, the last one wins."""

    name: str
    enable: bool = False
    package: str = ""
    path: Path | None = None
    dependencies: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    history: tuple[Declaration, ...] = field(default=())

    @property
    def source(self) -> str:
        """Who spoke last: the one that decides whether it is enabled."""
        return self.history[-1].source if self.history else ""

    @property
    def refused(self) -> bool:
        """True for one that the application itself disabled."""
        return bool(self.history) and not self.enable and self.history[-1].by_app


def merge(declared: Declared, declaration: Declaration) -> Declared:
    """Let a later declaration override an earlier one, as Egg does: a new package or path replaces both, an empty tuple says nothing."""
    entry = declaration.entry
    placed = bool(entry.package or entry.path)
    return replace(
        declared,
        enable=entry.enable,
        package=entry.package if placed else declared.package,
        path=((declaration.base / entry.path) if entry.path else None) if placed else declared.path,
        dependencies=entry.dependencies or declared.dependencies,
        optional=entry.optional or declared.optional,
        env=entry.env or declared.env,
        history=(*declared.history, declaration),
    )
