"""Applications and plugins on a temporary disk; what is imported from them is gone after the test."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from textwrap import dedent

from tamago.core.importing import adopt
from tamago.core.unit import LoadUnit, UnitKind


class Disk:
    def __init__(self, root: Path) -> None:
        self.root = root
        self.app_directory = root / "blog"
        self.libraries = root / "libraries"

    def write(self, directory: Path, files: Mapping[str, str]) -> None:
        for name, text in files.items():
            path = directory / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(dedent(text))

    def app(self, files: Mapping[str, str]) -> LoadUnit:
        self.write(self.app_directory, files)
        adopt(self.app_directory)
        return LoadUnit(kind=UnitKind.APP, name="blog", package="", directory=self.app_directory)

    def plugin(self, name: str, files: Mapping[str, str]) -> LoadUnit:
        directory = self.libraries / name
        self.write(directory, {"__init__.py": "", **files})
        if str(self.libraries) not in sys.path:
            sys.path.append(str(self.libraries))
        return LoadUnit(kind=UnitKind.PLUGIN, name=name, package=name, directory=directory)


@contextmanager
def temporary(root: Path) -> Iterator[Disk]:
    paths, modules = list(sys.path), dict(sys.modules)
    try:
        yield Disk(root)
    finally:
        sys.path[:] = paths
        for name in set(sys.modules) - set(modules):
            del sys.modules[name]
        sys.modules.update(modules)
