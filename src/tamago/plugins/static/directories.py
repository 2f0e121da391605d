"""From configuration to the directories that are served."""

from __future__ import annotations

import re

from tamago.core.app_info import AppInfo
from tamago.errors import TamagoError
from tamago.plugins.static.encodings import SUFFIXES
from tamago.plugins.static.files import Directory, longest_first
from tamago.plugins.static.options import Served, StaticConfig

_DEVELOPING = frozenset({"local", "unittest"})
_DEFAULT = "app/public"


class StaticConfigError(TamagoError):
    """The configuration of `static` cannot be followed."""


def served_directories(config: StaticConfig, info: AppInfo) -> list[Directory]:
    """Return them in the order to look through. Raises StaticConfigError for a directory that is not there, unless nobody asked for it."""
    wanted = [Served(prefix=config.prefix, dir=config.dir or _DEFAULT), *config.dirs]
    if not config.dir and not (info.directory / _DEFAULT).is_dir():
        del wanted[0]
    return longest_first([_directory(served, config, info) for served in wanted])


def _directory(served: Served, config: StaticConfig, info: AppInfo) -> Directory:
    place = info.directory / served.dir
    if not place.is_dir():
        raise StaticConfigError(
            f"static: {place} is to be served at {served.prefix} and is no directory",
            hint="make it, or change `static` in the configuration",
        )
    root = place.resolve()
    if any((info.directory / part).resolve().is_relative_to(root) for part in ("app", "config")):
        raise StaticConfigError(
            f"static: {place} holds the application's own code, and all of it would be served",
            hint="serve a directory inside the application's, such as app/public",
        )
    developing = info.env in _DEVELOPING
    return Directory(
        prefix=served.prefix,
        root=root,
        max_age=0 if developing else config.max_age,
        immutable=None if developing or not config.immutable else _pattern(config.immutable),
        codings=_codings(config.precompressed),
    )


def _pattern(text: str) -> re.Pattern[str]:
    try:
        return re.compile(text)
    except re.error as error:
        raise StaticConfigError(f"static.immutable {text!r} is no regular expression: {error}", hint='"" turns it off') from None


def _codings(names: tuple[str, ...]) -> tuple[str, ...]:
    if unknown := [name for name in names if name not in SUFFIXES]:
        raise StaticConfigError(f"static.precompressed has {', '.join(map(repr, unknown))}", hint=f"known: {', '.join(SUFFIXES)}")
    return names
