"""Imports one module of a load unit by its file, and nothing else by accident. Knows nothing of what the module is for."""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from types import ModuleType
from typing import Any

from tamago.core.config_suggest import close_match
from tamago.core.unit import LoadUnit
from tamago.errors import TamagoError


class ShadowedModuleError(TamagoError):
    """A module of the application has the name of another one that Python finds first."""

    def __init__(self, module: str, wanted: Path, found: str) -> None:
        super().__init__(
            f"the module {module!r} should be {wanted}, but Python has it from {found}",
            hint=f"put the application first on sys.path, add an empty __init__.py in {wanted.parent}, or rename the other one",
        )
        self.module = module


class MissingExportError(TamagoError):
    """A module lacks the one name it is there for."""

    def __init__(self, file: Path, name: str, module: ModuleType, example: str) -> None:
        names = [other for other in vars(module) if not other.startswith("_")]
        close = close_match(name, names) or close_match(name.upper(), names)
        super().__init__(
            f"{file} defines no {name!r}",
            hint=f"did you mean to call {close!r} {name!r}?" if close else f"write: {example}",
        )
        self.file = file


def import_file(unit: LoadUnit, dotted: str) -> ModuleType | None:
    """Import a module of `unit` such as `config.default`; None if it has no such file. What the module raises comes through unchanged."""
    file = file_of(unit, dotted)
    if not file.is_file():
        return None
    name = unit.module_name(dotted)
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not (name == error.name or name.startswith(error.name + ".")):
            raise
        raise ShadowedModuleError(name, file, "nowhere, or from a package of that name elsewhere") from None
    found = module.__file__ or "memory"
    if not _same(found, file):
        raise ShadowedModuleError(name, file, found)
    return module


def file_of(unit: LoadUnit, dotted: str) -> Path:
    """Return where a module of `unit` is, whether it exists or not."""
    return unit.directory.joinpath(*dotted.split(".")).with_suffix(".py")


def export(unit: LoadUnit, dotted: str, name: str, example: str) -> Any:
    """Return what a module of `unit` defines as `name`, None if there is no such file. Raises `MissingExportError`."""
    module = import_file(unit, dotted)
    if module is None:
        return None
    try:
        return getattr(module, name)
    except AttributeError:
        raise MissingExportError(file_of(unit, dotted), name, module, example) from None


def _same(found: str, wanted: Path) -> bool:
    return os.path.exists(found) and os.path.samefile(found, wanted)
