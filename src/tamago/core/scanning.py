"""Lists the modules below a directory of an application, and refuses names that could not be imported or would hide each other.

Reads directories only; nothing is imported here.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tamago.core.load_error import LoadError
from tamago.core.naming import RULE, is_legal

_SUFFIX: Final = ".py"
_SKIPPED: Final = frozenset({"__pycache__", "__init__.py"})


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundModule:
    """A file to import: `name` are its directories and itself below what was scanned, `module` is its full dotted name."""

    name: tuple[str, ...]
    module: str
    path: Path


def scan(directory: Path, package: str) -> list[FoundModule]:
    """Return every module below `directory`, which is the package `package`, in the order of their names; none if it does not exist.

    Raises LoadError with every file that has an illegal name, and every file that has a directory of modules of the same name beside it.
    """
    files = sorted(_files(directory, (), ()))
    problems = [*_illegal(directory, files), *_hidden(directory, files)]
    if problems:
        raise LoadError(problems, hint=f"{RULE}; rename what is named here")
    return [FoundModule(name=name, module=".".join((package, *name)), path=_path(directory, name)) for name in files]


def listed(directory: Path) -> list[str]:
    """Return the names in a directory, sorted; none where there is no directory."""
    try:
        return sorted(os.listdir(directory))
    except OSError:
        return []


def _files(directory: Path, below: tuple[str, ...], above: tuple[tuple[int, int], ...]) -> Iterator[tuple[str, ...]]:
    try:
        status = os.stat(directory)
    except FileNotFoundError:
        return
    if (here := (status.st_dev, status.st_ino)) in above:
        raise LoadError([f"{directory} is a link to a directory that holds it"], hint="remove the link")
    with os.scandir(directory) as entries:
        for entry in entries:
            if entry.name in _SKIPPED:
                continue
            if entry.is_dir():
                yield from _files(directory / entry.name, (*below, entry.name), (*above, here))
            elif entry.name.endswith(_SUFFIX) and entry.is_file():  # an editor's lock file is a link to nothing
                yield (*below, entry.name.removesuffix(_SUFFIX))


def _illegal(directory: Path, files: Iterable[tuple[str, ...]]) -> Iterator[str]:
    for name in files:
        wrong = [segment for segment in name if not is_legal(segment)]
        if wrong:
            yield f"{_path(directory, name)} cannot be loaded: {wrong[0]!r} is not a legal name"


def _hidden(directory: Path, files: Sequence[tuple[str, ...]]) -> Iterator[str]:
    """Python would import one of `user.py` and `user/`, and never the other."""
    directories = {name[:depth]: name for name in reversed(files) for depth in range(1, len(name))}
    for name in files:
        if name in directories:
            yield f"two files want one name: {_path(directory, name)} and {_path(directory, directories[name])}"


def _path(directory: Path, name: tuple[str, ...]) -> Path:
    return directory.joinpath(*name[:-1], name[-1] + _SUFFIX)
