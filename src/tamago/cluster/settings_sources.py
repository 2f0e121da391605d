"""Where settings are said: files, the environment, flags. Reads the files; what the values mean is for `settings_resolve`."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Final, cast

from tamago.cluster.logical_path import logical_path
from tamago.cluster.settings_resolve import Resolved, SettingsError, Source, resolve
from tamago.cluster.title import title_from

PREFIX = "TAMAGO_"
RESERVED: Final = frozenset({"TAMAGO_HOME", "TAMAGO_RUN", "TAMAGO_CONFIG", "TAMAGO_PLUGINS", "TAMAGO_SCOPE"})
"""Variables with our prefix that are no settings: ours, and those in which a framework application is configured."""

GENERIC: Final = MappingProxyType({"PORT": "port", "WEB_CONCURRENCY": "workers"})
"""Variables that platforms set for any program; one with our prefix beats them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Files:
    """What the two files of a directory say. `project` is the `[project] name` of pyproject.toml, or empty."""

    sources: tuple[Source, ...]
    project: str


def load(directory: str | os.PathLike[str], environ: Mapping[str, str], flags: Mapping[str, object]) -> Resolved:
    """Read and merge everything that is said about the application in `directory`.

    The result has an absolute `directory` and a `title`, also where nobody gave one. Raises `SettingsError` with all problems.
    """
    root = _existing(directory)
    files = _read_files(root)
    said = [source for source in (*files.sources, *environment_sources(environ), _env_file(root), flag_source(flags)) if source.values]
    resolved = resolve(*said)
    if "directory" in (key for source in said for key in source.values):
        # The files were found through the directory, so it cannot be told by them.
        raise SettingsError([f"directory ({resolved.origins['directory']}): is not read from there; pass it as an argument"])
    origins = dict(resolved.origins)
    origins["directory"] = "command line" if os.fspath(directory) != "." else "default"
    settings = replace(resolved.settings, directory=str(root))
    if not settings.title:
        settings = replace(settings, title=title_from(files.project or root.name))
        origins["title"] = "pyproject.toml [project] name" if files.project else "name of the directory"
    return Resolved(settings=settings, origins=origins)


def default_title(directory: str | os.PathLike[str], environ: Mapping[str, str]) -> str:
    """Return the title a start in this directory would get, whatever else is wrong with its settings."""
    root = logical_path(directory)
    try:
        files = _read_files(root)
    except SettingsError:
        files = _Files(sources=(), project="")
    said = [source.values.get("title") for source in (*files.sources, *environment_sources(environ))]
    titles = [title for title in said if isinstance(title, str) and title]
    return titles[-1] if titles else title_from(files.project or root.name)


def environment_sources(environ: Mapping[str, str]) -> tuple[Source, Source]:
    """Split the environment into what any program gets and what was meant for us. A variable set to nothing says nothing."""
    generic = {key: (name, environ[name]) for name, key in GENERIC.items() if environ.get(name)}
    ours = {name[len(PREFIX) :].lower(): (name, text) for name, text in environ.items() if _is_ours(name) and text}
    return _environment(generic), _environment(ours)


def _is_ours(name: str) -> bool:
    # TAMAGO__A__B is the value at a.b in the configuration of a framework application.
    return name.startswith(PREFIX) and not name.startswith(PREFIX + "_") and name not in RESERVED


def _environment(found: Mapping[str, tuple[str, str]]) -> Source:
    return Source(
        name="environment",
        values={key: text for key, (_, text) in found.items()},
        spelling={key: name for key, (name, _) in found.items()},
        text=True,
    )


def _env_file(root: Path) -> Source:
    """Return what `config/env` of a framework application says. As in Egg it comes before the variable."""
    path = root / "config" / "env"
    written = _text(path).strip() if path.is_file() and (root / "app").is_dir() else ""
    return Source(name="config/env", values={"env": written} if written else {}, text=True)


def flag_source(flags: Mapping[str, object]) -> Source:
    """Return the source for what was given on the command line; None means that a flag was not given."""
    return Source(name="command line", values={key: value for key, value in flags.items() if value is not None}, text=True)


# ── files ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _existing(directory: str | os.PathLike[str]) -> Path:
    root = logical_path(directory)
    if not root.is_dir():
        what = "is not a directory" if root.exists() else "does not exist"
        raise SettingsError([f"directory={os.fspath(directory)!r}: {what}"], hint="pass the directory of the application: tamago start DIR")
    try:
        str(root).encode()
    except UnicodeEncodeError:
        # Whoever asks for it is told it in JSON.
        hint = "start it through a symbolic link to it, or rename it; if the name is UTF-8, the locale must be as well: LC_ALL=C.UTF-8"
        raise SettingsError([f"directory={str(root)!r}: the name is not UTF-8"], hint=hint) from None
    return root


def _read_files(root: Path) -> _Files:
    pyproject, own = _parse(root / "pyproject.toml"), _parse(root / "tamago.toml")
    table = _table(pyproject, "tool", "tamago")
    name = _table(pyproject, "project").get("name")
    return _Files(
        sources=(
            Source(name="pyproject.toml [tool.tamago]", values=table),
            Source(name="tamago.toml", values=own),
        ),
        project=name if isinstance(name, str) else "",
    )


def _table(document: Mapping[str, object], *path: str) -> Mapping[str, object]:
    found: object = document
    for key in path:
        found = found.get(key, {}) if isinstance(found, dict) else {}
    return cast("Mapping[str, object]", found) if isinstance(found, dict) else {}


def _parse(path: Path) -> Mapping[str, object]:
    try:
        return tomllib.loads(_text(path))
    except tomllib.TOMLDecodeError as error:
        raise SettingsError([_place(path, error)], hint=f"correct {path}") from None


def _text(path: Path) -> str:
    """Return what is in a file, "" if there is none."""
    try:
        return path.read_text("utf-8")
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise SettingsError([f"cannot read {path}: {reason}"], hint="make it readable, or remove it") from None


def _place(path: Path, error: tomllib.TOMLDecodeError) -> str:
    """Rewrite "Invalid value (at line 3, column 8)" as file:line:column."""
    text, _, place = str(error).rpartition(" (at ")
    numbers = [word for word in place.rstrip(")").replace(",", "").split() if word.isdigit()]
    if not text or not numbers:
        return f"{path}: {error}"
    return f"{path}:{':'.join(numbers)}: {text[0].lower()}{text[1:]}"
