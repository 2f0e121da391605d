"""Which target to run: the application named by the settings, or the kind of application that lies in the directory.

Looks at names and reads source text; imports nothing of the application and nothing of the server.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar, Final

from tamago.cluster.loaders import FRAMEWORK_LOADER, HOSTED_LOADER
from tamago.cluster.settings import Settings
from tamago.errors import ExitCode, TamagoError
from tamago.types import TargetSpec

_MODULES: Final = ("main", "app", "asgi", "wsgi", "server", "application")
_ATTRIBUTES: Final = ("app", "application", "create_app")


class TargetNotFoundError(TamagoError):
    """There is nothing to run; `looked_for` says what was tried, `suggestion` what --app could be."""

    exit_code: ClassVar[ExitCode] = ExitCode.USAGE

    def __init__(self, directory: Path, looked_for: tuple[str, ...], suggestion: str) -> None:
        hint = (
            f"did you mean --app {suggestion}?"
            if suggestion
            else "name the application: --app module:attribute, for example --app main:app"
        )
        super().__init__(f"nothing to run in {directory}: looked for {', then '.join(looked_for)}", hint=hint)
        self.looked_for = looked_for
        self.suggestion = suggestion


def find_target(settings: Settings) -> TargetSpec:
    """Return what to run: `app`, else `framework`, else a directory with app/ and config/; raises `TargetNotFoundError`."""
    root = Path(settings.directory)
    if settings.app:
        return TargetSpec(
            loader=HOSTED_LOADER,
            directory=settings.directory,
            app=settings.app,
            agent=find_agent(settings),
            interface=settings.interface,
        )
    if settings.framework or is_framework_application(root):
        return TargetSpec(loader=FRAMEWORK_LOADER, directory=settings.directory, framework=settings.framework or None)
    raise TargetNotFoundError(
        root,
        ("an --app (or app in tamago.toml)", "a --framework", f"the directories app/ and config/ in {root}"),
        next(suggestions(root), ""),
    )


def find_agent(settings: Settings) -> str | None:
    """Return the agent of a hosted application: the setting, else the module `agent` if the directory has an agent.py."""
    if settings.no_agent:
        return None
    if settings.agent:
        return settings.agent
    return "agent" if (Path(settings.directory) / "agent.py").is_file() else None


def is_framework_application(root: Path) -> bool:
    """Return whether the directory looks like an application written for our framework or one built on it."""
    return (root / "app").is_dir() and (root / "config").is_dir()


def suggestions(root: Path) -> Iterator[str]:
    """Yield what --app could be, judging by the text of the usual files."""
    for module in _MODULES:
        for name, path in ((module, root / f"{module}.py"), (module, root / module / "__init__.py")):
            defined = _names_defined_in(path)
            yield from (f"{name}:{attribute}" for attribute in _ATTRIBUTES if attribute in defined)


def _names_defined_in(path: Path) -> set[str]:
    try:
        tree = ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError):
        # Not there, or not for us to complain about: nobody asked to run it.
        return set()
    return {name for statement in tree.body for name in _names(statement)}


def _names(statement: ast.stmt) -> Iterator[str]:
    match statement:
        case ast.Assign(targets=targets):
            yield from (target.id for target in targets if isinstance(target, ast.Name))
        case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr()):
            yield name
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            yield name
        case ast.ImportFrom(names=names):
            yield from (alias.asname or alias.name for alias in names)
        case _:
            return
