"""Reads what `config/plugin.py` and its variants say, in frameworks, in the application and in TAMAGO_PLUGINS. Imports no plugin."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import msgspec

from tamago.core.app_info import AppInfo
from tamago.core.config_module import export, file_of
from tamago.core.config_names import plugin_names
from tamago.core.config_problems import find_problems
from tamago.core.plugin import Declaration, Declared, PluginEntry, merge
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
