"""Finds files in `config/` that nobody reads, although they are called as if somebody did."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from tamago.core.app_info import AppInfo
from tamago.core.config_errors import ConfigError
from tamago.core.config_names import config_names, plugin_names
from tamago.core.scanning import listed
from tamago.core.suggest import SURELY, close_match
from tamago.core.unit import LoadUnit

_ALWAYS: Final = ("default", "models", "plugin")
_SUFFIX: Final = ".py"
_CONFIGURES = re.compile(r"^(?:(?:async )?def )?(?:config|plugins)\b", re.MULTILINE)


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


def like_the_environment(units: Sequence[LoadUnit], info: AppInfo) -> Path | None:
    """Return a file for an environment spelt like this one, if no unit has a file for this one; None otherwise.

    Names of environments are free, and one without files runs on the defaults. So this may be meant, and is no error.
    """
    files = {
        _environment(name, info): unit.directory / "config" / f"{name}{_SUFFIX}"
        for unit in units
        for name in _names(unit.directory / "config")
    }
    if info.env in (*_ALWAYS, *files):
        return None
    alike = (file for env, file in files.items() if env not in _ALWAYS and _alike(env, info.env))
    return next(filter(_configures, alike), None)


def _environment(name: str, info: AppInfo) -> str:
    """Return the environment that a file is for, if it is for one."""
    name = name.removeprefix("plugin_")
    return name.removeprefix(f"{info.scope}_") if info.scope else name


def _alike(one: str, other: str) -> bool:
    """Return whether a name is another one misspelt, or short for it, as prod is for production."""
    short, long = sorted((one, other), key=len)
    return (len(short) > 2 and long.startswith(short)) or difflib.SequenceMatcher(None, short, long).ratio() > 0.75


def _configures(file: Path) -> bool:
    """Return whether a file has a word of configuration: modules of one's own may lie beside it."""
    try:
        return _CONFIGURES.search(file.read_text("utf-8")) is not None
    except (OSError, UnicodeDecodeError):
        return False


def _names(directory: Path) -> Iterable[str]:
    return [name.removesuffix(_SUFFIX) for name in listed(directory) if name.endswith(_SUFFIX)]


def _meant(name: str) -> str:
    """Return the name that was meant, "" for a name of the author's own."""
    return _in_eggs_spelling(name) or close_match(name, _ALWAYS, cutoff=SURELY) or ""


def _in_eggs_spelling(name: str) -> str:
    """Return our name for Egg's config.default.js, config.prod.js, plugin.default.js or plugin.prod.js, "" for anything else."""
    first, _, rest = name.replace(".", "_", 1).partition("_")
    if first == "config":
        return rest or "default"
    if first == "plugin" and rest == "default":
        return "plugin"
    return f"plugin_{rest}" if first == "plugin" and "." in name else ""
