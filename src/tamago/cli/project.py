"""What a new project is called: as a distribution, as a package and as the beginning of a class's name. Pure."""

from __future__ import annotations

import keyword
import re
import sys
from dataclasses import dataclass
from typing import Final

from tamago.errors import ExitCode, TamagoError

_LEGAL: Final = re.compile(r"[a-z][a-z0-9]*([-_][a-z0-9]+)*")
_OURS: Final = frozenset({"tamago"})
_PARTS_OF_AN_APPLICATION: Final = frozenset({"app", "config", "plugins", "tests", "onerror", "static"})
"""What a plugin's package cannot be called: an application's packages, and the plugins every application has."""

PARTS_OF_CONFIG: Final = frozenset(
    {
        "body_parser",
        "close_timeout",
        "cookies",
        "core_middleware",
        "custom_loader",
        "custom_logger",
        "dump",
        "httpclient",
        "keys",
        "logger",
        "meta",
        "middleware",
        "notfound",
        "override_method",
        "request_id",
        "request_timeout",
        "threads",
    }
)
"""What is the framework's own in the configuration, in which a plugin's part is called like the plugin."""


class BadProjectNameError(TamagoError):
    """No project can be called that."""

    exit_code = ExitCode.USAGE


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """`name` is as it was given, `package` can be imported, `class_prefix` begins the names of classes.

    `plugin` is what a plugin is called in applications: `cache` for tamago-cache, as `redis` is for egg-redis.
    """

    name: str
    package: str
    plugin: str
    class_prefix: str


def named(name: str, *, is_package: bool) -> Project:
    """Return a project of this name; `is_package`: there will be a package called so. Raises BadProjectNameError."""
    if not _LEGAL.fullmatch(name):
        raise BadProjectNameError(
            f"{name!r} cannot be the name of a project",
            hint=f"use lower-case letters, digits, - and _, beginning with a letter, such as {_suggest(name)}",
        )
    package = name.replace("-", "_")
    if name in _OURS or (is_package and _is_taken(package)):
        raise BadProjectNameError(f"{name!r} means something else already", hint=f"choose another name, such as {name}-site")
    plugin = _plugin(package)
    return Project(name=name, package=package, plugin=plugin, class_prefix="".join(part.title() for part in plugin.split("_")))


def _plugin(package: str) -> str:
    short = package.removeprefix("tamago_")
    taken = not short.isidentifier() or keyword.iskeyword(short) or short in _PARTS_OF_AN_APPLICATION | PARTS_OF_CONFIG
    return package if taken else short


def _is_taken(package: str) -> bool:
    return keyword.iskeyword(package) or package in sys.stdlib_module_names or package in _PARTS_OF_AN_APPLICATION


def _suggest(name: str) -> str:
    words = re.findall(r"[a-z0-9]+", name.lower())
    suggestion = "-".join(words).lstrip("0123456789-")
    return suggestion or "blog"
