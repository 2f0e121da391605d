"""Finds files in `config/` that nobody reads, although they are called as if somebody did."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from tamago.core.app_info import AppInfo
from tamago.core.config_errors import ConfigError
from tamago.core.config_names import config_names, plugin_names
from tamago.core.unit import LoadUnit

_ALWAYS: Final = ("default", "models", "plugin")
_SUFFIX: Final = ".py"


def check_config_names(units: Sequence[LoadUnit], info: AppInfo) -> None:
    """Look at the names of files only. Raises `ConfigError` with every one that was surely meant to be another.

    A directory may hold modules of its own, and files for environments nobody has heard of: only what resembles a name that is always
    read, or is spelt as Egg spells it, is refused.
    """
    read = {*_ALWAYS, *config_names(info), *plugin_names(info)}
    problems = [
        f"{unit.directory / 'config' / name}{_SUFFIX} is not read; did you mean {meant}{_SUFFIX}?"
        for unit in units
        for name in _names(unit.directory / "config")
        if name not in read and (meant := _meant(name))
    ]
    if problems:
        raise ConfigError(problems, hint="rename it; what is no configuration needs another name, or another place")


def _names(directory: Path) -> Iterable[str]:
    try:
        names = sorted(os.listdir(directory))
    except OSError:
        return ()
    return [name.removesuffix(_SUFFIX) for name in names if name.endswith(_SUFFIX)]


def _meant(name: str) -> str:
    """Return the name that was meant, "" for a name of the author's own."""
    if meant := _in_eggs_spelling(name):
        return meant
    close = difflib.get_close_matches(name, _ALWAYS, n=1, cutoff=0.85)
    return close[0] if close else ""


def _in_eggs_spelling(name: str) -> str:
    """Return our name for Egg's config.default.js, config.prod.js, plugin.default.js or plugin.prod.js, "" for anything else."""
    first, _, rest = name.replace(".", "_", 1).partition("_")
    if first == "config":
        return rest or "default"
    if first == "plugin" and rest == "default":
        return "plugin"
    return f"plugin_{rest}" if first == "plugin" and "." in name else ""
