"""Reads what `config/plugin.py` and its variants say, in frameworks, in the application and in TAMAGO_PLUGINS. Imports no plugin."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

import msgspec

from tamago.core.app_info import AppInfo
from tamago.core.config_module import export, file_of
from tamago.core.config_names import plugin_names
from tamago.core.config_problems import find_problems
from tamago.core.plugin import PluginEntry
from tamago.core.unit import LoadUnit, UnitKind
from tamago.errors import ExitCode, TamagoError

VARIABLE = "TAMAGO_PLUGINS"


class PluginDeclarationError(TamagoError):
    """Declarations that cannot be used; `problems` has one line for each."""

    exit_code: ClassVar[ExitCode] = ExitCode.USAGE

    def __init__(self, problems: Sequence[str], *, hint: str = "") -> None:
        self.problems = tuple(problems)
        several = f"{len(self.problems)} plugin declarations are wrong:\n  " + "\n  ".join(self.problems)
        super().__init__(
            several if len(self.problems) > 1 else self.problems[0],
            hint=hint or "a declaration is True, False or a dict of enable, package, path, dependencies, optional, env",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Declaration:
    """One word about one plugin. `source` is the file, or TAMAGO_PLUGINS; a relative path in it starts at `base`."""

    entry: PluginEntry
    source: str
    base: Path
    by_app: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """All that is said about one plugin, merged; `history` has every word, the last one wins."""

    name: str
    enable: bool = False
    package: str = ""
    path: Path | None = None
    dependencies: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    history: tuple[Declaration, ...] = field(default=())

    @property
    def source(self) -> str:
        """Who spoke last: the one that decides whether it is enabled."""
        return self.history[-1].source if self.history else ""

    @property
    def refused(self) -> bool:
        """True for one that the application itself disabled."""
        return bool(self.history) and not self.enable and self.history[-1].by_app


def read_declarations(info: AppInfo, frameworks: Sequence[LoadUnit], environ: Mapping[str, str]) -> dict[str, Declared]:
    """Merge every declaration, in the order first named. Frameworks before the application, whatever the environment of the file.

    Raises `PluginDeclarationError` with all problems.
    """
    app = LoadUnit(kind=UnitKind.APP, name=info.name, package="", directory=info.directory)
    found: dict[str, Declared] = {}
    problems: list[str] = []
    for value, source, unit in _sources(info, frameworks, app, environ):
        if not isinstance(value, dict):
            problems.append(f"plugins ({source}) must be a dict of names, not {type(value).__name__}")
            continue
        for name, said in value.items():
            entry = _entry(str(name), said, source, problems)
            declaration = Declaration(entry=entry, source=source, base=unit.directory, by_app=unit.kind is UnitKind.APP)
            found[str(name)] = merge(found.get(str(name)) or Declared(name=str(name)), declaration)
    if problems:
        raise PluginDeclarationError(problems)
    return found


def merge(declared: Declared, declaration: Declaration) -> Declared:
    """Let a later declaration override an earlier one, as Egg does: a new package or path replaces both, an empty tuple says nothing."""
    entry = declaration.entry
    placed = bool(entry.package or entry.path)
    return replace(
        declared,
        enable=entry.enable,
        package=entry.package if placed else declared.package,
        path=((declaration.base / entry.path) if entry.path else None) if placed else declared.path,
        dependencies=entry.dependencies or declared.dependencies,
        optional=entry.optional or declared.optional,
        env=entry.env or declared.env,
        history=(*declared.history, declaration),
    )


def _sources(
    info: AppInfo, frameworks: Sequence[LoadUnit], app: LoadUnit, environ: Mapping[str, str]
) -> Iterator[tuple[Any, str, LoadUnit]]:
    for units in (frameworks, (app,)):
        for name in plugin_names(info):
            for unit in units:
                value = export(unit, f"config.{name}", "plugins", 'plugins = {"name": True}')
                if value is not None:
                    yield value, str(file_of(unit, f"config.{name}")), unit
    if environ.get(VARIABLE):
        yield _parse(environ[VARIABLE]), VARIABLE, app


def _parse(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        raise PluginDeclarationError(
            [f"{VARIABLE} is not JSON: {error}"], hint=f"""write it as {VARIABLE}='{{"cache": false, "db": {{"package": "blog_db"}}}}'"""
        ) from None


def _entry(name: str, said: object, source: str, problems: list[str]) -> PluginEntry:
    where = f"plugins[{name!r}]"
    if isinstance(said, bool):
        return PluginEntry(enable=said)
    if isinstance(said, PluginEntry):
        said = msgspec.structs.asdict(said)
    if not isinstance(said, dict):
        problems.append(f"{where} ({source}): expected True, False or a dict, got {type(said).__name__}")
        return PluginEntry()
    wrong = [
        f"{where}{''.join(f'[{key!r}]' for key in problem.path)} ({source}): {problem.text}" for problem in find_problems(said, PluginEntry)
    ]
    if said.get("package") and said.get("path"):
        wrong.append(f"{where} ({source}): has both a package and a path")
    package = said.get("package", "")
    if isinstance(package, str) and package and not all(part.isidentifier() for part in package.split(".")):
        wrong.append(f"{where} ({source}): package={package!r} is no dotted module name; use path for a directory")
    problems.extend(wrong)
    return PluginEntry() if wrong else msgspec.convert(said, PluginEntry)
