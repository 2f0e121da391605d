"""Finds what stands in `app/` and is read by nobody, although it is called as if somebody did."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from tamago.core.load_error import LoadError
from tamago.core.scanning import listed
from tamago.core.suggest import SURELY, close_match
from tamago.core.unit import LoadUnit, UnitKind

_DIRECTORIES: Final = ("controller", "service", "middleware", "extend")
_FILES: Final = ("router", "boot")
_OF_THE_APPLICATION: Final = ("controller", "router")  # a plugin or framework has none
_OTHER_NAMES: Final = {"route": "router", "routes": "router"}
_LONG: Final = 7  # letters; shorter words are like too many others
_SUFFIX: Final = ".py"


def check_app_names(units: Iterable[LoadUnit]) -> None:
    """Look at names only. Raises LoadError with every file or directory that was surely meant to be another, which is not there.

    Anything else in `app/` is its author's: also a `services/` beside `service/`, and a directory without a line of code.
    """
    problems = [problem for unit in units for problem in _problems(unit)]
    if problems:
        raise LoadError(problems, hint="rename it; what is none of these needs another name, or another place")


def has_code(directory: Path) -> bool:
    """Return whether any module is in a directory or below; files without a line are none."""
    return any(file.stat().st_size for file in directory.rglob(f"*{_SUFFIX}") if file.is_file())


def _problems(unit: LoadUnit) -> Iterator[str]:
    place = unit.directory / "app"
    missing = [name for name in (*_DIRECTORIES, *_FILES) if not _is_there(place, name)]
    if unit.kind is not UnitKind.APP:
        missing = [name for name in missing if name not in _OF_THE_APPLICATION]
    for name in listed(place) if missing else ():
        is_file = name.endswith(_SUFFIX)
        meant = _meant(name.removesuffix(_SUFFIX), missing)
        if meant in _FILES and (is_file or has_code(place / name)):
            yield f"{place / name} is not read; did you mean {place / meant}{_SUFFIX}?"
        elif meant in _DIRECTORIES and not is_file and has_code(place / name):
            yield f"{place / name} is not read; did you mean {place / meant}?"


def _is_there(place: Path, name: str) -> bool:
    return (place / f"{name}{_SUFFIX}").is_file() if name in _FILES else has_code(place / name)


def _meant(name: str, missing: Iterable[str]) -> str:
    """Return which of the names that are missing was meant, "" for a name of the author's own."""
    name = name.lower()
    name = _OTHER_NAMES.get(name, name)
    for meant in missing:
        if name in {meant, f"{meant}s"}:
            return meant
    long = [meant for meant in missing if len(meant) >= _LONG and meant[0] == name[:1]]
    return close_match(name, long, cutoff=SURELY) or ""
