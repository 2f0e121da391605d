"""Imports one module of a load unit by name and takes the one thing it is there for."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

from tamago.core.importing import import_found
from tamago.core.scanning import FoundModule
from tamago.core.suggest import close_match
from tamago.core.unit import LoadUnit
from tamago.errors import TamagoError


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
    """Import a module of `unit` such as `config.default`; None if it has no such file. Raises what `import_found` raises."""
    file = file_of(unit, dotted)
    if not file.is_file():
        return None
    return import_found(FoundModule(name=tuple(dotted.split(".")), module=unit.module_name(dotted), path=file))


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
