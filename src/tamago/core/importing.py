"""Imports an application's own files, and makes sure that they are its own.

`app` and `config` are common names. A package of that name anywhere on `sys.path` that has an `__init__.py` would win over the
application's directory without one, so the names are bound to the application's directories before anything is imported.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Collection, Iterable
from contextlib import nullcontext
from importlib.abc import FileLoader
from importlib.machinery import ModuleSpec
from importlib.util import module_from_spec
from pathlib import Path
from types import ModuleType
from typing import Final

from tamago.core.load_error import LoadError
from tamago.core.scanning import FoundModule
from tamago.core.timing import Timing
from tamago.user_traceback import user_traceback

PACKAGES: Final = ("app", "config")
_INIT: Final = "__init__.py"


class ForeignModuleError(LoadError):
    """A name of the application means something else in this process."""

    def __init__(self, name: str, *, found: str, wanted: Path) -> None:
        super().__init__(
            [f"`{name}` is already imported from {found}, and the application's is {wanted}"],
            hint="only one application can be loaded at a time: `forget` the other, or start Python elsewhere",
        )
        self.name = name


class BrokenFileError(LoadError):
    """A file of the application does not compile."""

    def __init__(self, error: SyntaxError, path: Path) -> None:
        where = f"{error.filename or path}:{error.lineno}" if error.lineno else str(error.filename or path)
        super().__init__([f"{where}: {error.msg}"], hint="correct this line", detail=user_traceback(error))


def adopt(directory: Path, packages: Iterable[str] = PACKAGES) -> None:
    """Put `directory` first on `sys.path` and let these names mean its packages, whatever else is called so.

    Raises ForeignModuleError when one of them is imported from elsewhere already, LoadError for `app.py` beside `app/`.
    """
    place = str(directory)
    sys.path[:] = [place, *(entry for entry in sys.path if entry != place)]
    importlib.invalidate_caches()
    for name in packages:
        _bind(name, directory / name)


def import_found(found: FoundModule, timing: Timing | None = None) -> ModuleType:
    """Import a module and make sure that it is the file that was found.

    Raises BrokenFileError for a syntax error and ForeignModuleError for another file of the same name; what the module raises itself
    comes through, with a note that says which file was being loaded.
    """
    with timing.requiring(found.module) if timing else nullcontext():
        try:
            module = importlib.import_module(found.module)
        except SyntaxError as error:
            raise BrokenFileError(error, found.path) from None
        except Exception as error:
            if isinstance(error, ModuleNotFoundError) and error.name and f"{found.module}.".startswith(f"{error.name}."):
                raise _hidden(found, error.name) from None
            error.add_note(f"while {found.path} was being loaded")
            if isinstance(error, ModuleNotFoundError) and error.name == "app.types":
                error.add_note("`tamago types` writes app/types.py")
            raise
    file = getattr(module, "__file__", None)
    if not (file and os.path.exists(file) and found.path.samefile(file)):
        raise ForeignModuleError(found.module, found=file or "a namespace", wanted=found.path)
    return module


def forget(directory: Path) -> None:
    """Let nothing that was imported from `directory` stay imported, so that another application, or this one anew, can be loaded.

    What is installed below it (a virtual environment) and its tests, which may be running, stay.
    """
    roots = {directory, directory.resolve()}
    others = [Path(entry) for entry in sys.path if entry and Path(entry) not in roots]
    kept = [root / "tests" for root in roots] + [place for place in others if _is_below(place, roots)]
    # Found first and removed after: a namespace asks its parent in sys.modules for its own path.
    for name in [name for name, module in list(sys.modules.items()) if _comes_from(module, roots, kept)]:
        del sys.modules[name]
    importlib.invalidate_caches()


class _DirectoryLoader(FileLoader):
    """Loads a directory as if it had an empty `__init__.py`: a package of this one directory, where Python's namespaces follow `sys.path`.

    As for a file, `importlib.resources` finds what else is in the directory, such as templates.
    """

    def get_source(self, fullname: str) -> str:  # noqa: ARG002
        return ""

    def is_package(self, fullname: str) -> bool:  # noqa: ARG002
        return True


def _bind(name: str, directory: Path) -> None:
    beside = directory.with_suffix(".py")
    if not directory.is_dir():
        return
    if beside.exists():
        raise LoadError([f"two files want one name: {beside} and {directory}"], hint=f"rename {beside.name}")
    loaded = sys.modules.get(name)
    init = directory / _INIT
    if loaded is not None:
        _take(name, loaded, directory)
    elif not init.exists():  # with one, the first place on sys.path wins
        spec = ModuleSpec(name, _DirectoryLoader(name, str(init)), is_package=True)
        spec.submodule_search_locations = [str(directory)]
        sys.modules[name] = module_from_spec(spec)  # there is nothing in it to run


def _take(name: str, loaded: ModuleType, directory: Path) -> None:
    places = _places(loaded)
    ours = {directory.resolve(), directory.resolve() / _INIT}
    if not any(place.resolve() in ours for place in places):
        raise ForeignModuleError(name, found=", ".join(map(str, places)) or "nowhere", wanted=directory)
    if getattr(loaded, "__file__", None) is None:
        loaded.__path__ = [str(directory)]  # a namespace over several directories is narrowed to ours


def _hidden(found: FoundModule, missing: str) -> ForeignModuleError:
    """Return the error for a file Python does not see, because the package it should be in is another one, or no package."""
    above = missing.rpartition(".")[0]
    module = sys.modules.get(above)
    places = _places(module) if module else []
    return ForeignModuleError(above or missing, found=", ".join(map(str, places)) or "nowhere", wanted=found.path.parent)


def _places(module: ModuleType) -> list[Path]:
    """Return the module's file, or the directories of a namespace. Attributes a lazy module makes up are not asked for."""
    facts = getattr(module, "__dict__", {})
    file = facts.get("__file__")
    return [Path(file)] if isinstance(file, str) else [Path(place) for place in facts.get("__path__", ())]


def _comes_from(module: ModuleType, roots: Collection[Path], kept: Collection[Path]) -> bool:
    places = [] if sys.modules.get("__main__") is module else _places(module)
    return bool(places) and all(_is_below(place, roots) and not _is_below(place, kept) for place in places)


def _is_below(place: Path, directories: Collection[Path]) -> bool:
    return any(place.is_relative_to(directory) for directory in directories)
