"""What is known of an application before any of its configuration is read. Egg's `appInfo`."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tamago.errors import TamagoError

_AT_HOME: Final = ("local", "unittest")
"""Environments whose data stays in the application's directory."""

_LEGAL = re.compile(r"[a-z][a-z0-9_]*")
_TAKEN = re.compile(r"(plugin|models)(_.*)?")


class AppInfoError(TamagoError):
    """A directory that is no application, or an environment or scope that cannot be one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AppInfo:
    """Name, place and environment of an application.

    `env` is "prod", "local", "unittest" or a name of your own; `scope` is "" or a name. `root` is where logs and other data go unless told:
    the application's directory in local and unittest, `home` elsewhere.
    """

    name: str
    directory: Path
    env: str
    scope: str
    home: Path
    root: Path


def app_info(directory: str | os.PathLike[str], *, env: str | None = None, scope: str | None = None, environ: Mapping[str, str]) -> AppInfo:
    """Read what identifies the application in `directory`.

    env: the argument, else the file `config/env`, else $TAMAGO_ENV, else "unittest" below pytest, else "prod". scope: the argument (also
    an empty one), else $TAMAGO_SCOPE. The name is `[project] name` in pyproject.toml. Raises `AppInfoError`.
    """
    place = _existing(directory)
    chosen, source = _env(place, env, environ)
    _check("env", chosen, source)
    source = "TAMAGO_SCOPE" if scope is None else "argument"
    scope = (environ.get("TAMAGO_SCOPE", "") if scope is None else scope).strip()
    if scope:
        _check("scope", scope, source)
    home = _home(environ, place)
    return AppInfo(
        name=_name(place),
        directory=place,
        env=chosen,
        scope=scope,
        home=home,
        root=place if chosen in _AT_HOME else home,
    )


def _existing(directory: str | os.PathLike[str]) -> Path:
    # Not resolved: where `current` is a link to a release, the application is to be known by the link.
    place = Path(os.path.abspath(directory))
    if not place.is_dir():
        what = "is not a directory" if place.exists() else "does not exist"
        raise AppInfoError(f"the application's directory {str(place)!r} {what}", hint="pass the directory that holds app/ and config/")
    return place


def _env(place: Path, given: str | None, environ: Mapping[str, str]) -> tuple[str, str]:
    """Return the environment, and who says so."""
    file = place / "config" / "env"
    told = (given or "").strip()
    if told:
        return told, "argument"
    written = _read(file).strip() if file.is_file() else ""
    if written:
        return written, str(file)
    variable = environ.get("TAMAGO_ENV", "").strip()
    if variable:
        return variable, "TAMAGO_ENV"
    # pytest sets it for the whole of its run, also for the processes that tests start.
    return ("unittest" if "PYTEST_VERSION" in environ else "prod"), "default"


def _check(what: str, name: str, source: str) -> None:
    if _TAKEN.fullmatch(name) or (what == "scope" and name == "default"):
        raise AppInfoError(
            f"{what}={name!r} ({source}): config/{name}.py has another meaning", hint=f"choose another name for this {what}, and its files"
        )
    if not _LEGAL.fullmatch(name):
        raise AppInfoError(
            f"{what}={name!r} ({source}): cannot be the name of a file of configuration",
            hint="use lower-case letters, digits and _, such as prod or load_test",
        )


def _name(place: Path) -> str:
    file = place / "pyproject.toml"
    if not file.is_file():
        raise AppInfoError(
            f"there is no {file}, which gives the application its name", hint=f'write it: [project], then name = "{_suggest(place)}"'
        )
    try:
        document: dict[str, Any] = tomllib.loads(_read(file))
    except tomllib.TOMLDecodeError as error:
        raise AppInfoError(f"{file}: {error}", hint=f"correct {file}") from None
    project = document.get("project")
    name = project.get("name") if isinstance(project, dict) else None
    if not isinstance(name, str) or not name.strip():
        wrong = "has no name in [project]" if name is None else f"has name = {name!r} in [project]"
        raise AppInfoError(f"{file} {wrong}", hint=f'write name = "{_suggest(place)}" below [project]')
    return name.strip()


def _suggest(place: Path) -> str:
    return re.sub(r"[^a-z0-9]+", "-", place.name.lower()).strip("-") or "app"


def _read(file: Path) -> str:
    try:
        return file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise AppInfoError(f"cannot read {file}: {reason}", hint="make it readable, or remove it") from None


def _home(environ: Mapping[str, str], place: Path) -> Path:
    """Return $TAMAGO_HOME, else the user's home, else the application's directory: in a container the user may have / or nothing."""
    if environ.get("TAMAGO_HOME"):
        return Path(os.path.abspath(environ["TAMAGO_HOME"]))
    home = environ.get("HOME", "")
    return Path(home) if os.path.isabs(home) and home != os.sep and os.path.isdir(home) else place
