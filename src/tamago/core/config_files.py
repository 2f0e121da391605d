"""The files of configuration: which there are, and what each of them says once it is asked."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tamago.core.app_info import AppInfo
from tamago.core.config_errors import ConfigError
from tamago.core.config_module import export, file_of
from tamago.core.config_names import config_names
from tamago.core.unit import LoadUnit, UnitKind

_EXAMPLE = 'config = {"logger": {"level": "DEBUG"}}, or a function config(info) that returns such a dict'


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigFile:
    """One imported file. `content` is a dict, or a function that returns one."""

    unit: LoadUnit
    name: str
    path: str
    content: Any

    @property
    def is_default(self) -> bool:
        """True for `config/default.py`, which says what keys there are."""
        return self.name == "default"

    async def read(self, info: AppInfo, app_config: Any) -> dict[str, Any]:
        """Return what the file says; `app_config` is for functions of plugins and frameworks that ask for it."""
        values: Any = self.content
        if callable(values):
            values = values(*(info, app_config)[: _parameters(values)])
            if inspect.isawaitable(values):
                values = await values
            if not isinstance(values, dict):
                raise ConfigError([f"config in {self.path} returned {_article(values)}, not a dict"], hint="end it with: return {…}")
        checked: dict[str, Any] = values
        _check_ownership(self, checked)
        return checked


def import_config(units: Sequence[LoadUnit], info: AppInfo) -> tuple[ConfigFile, ...]:
    """Import the files of all units, in the order they are merged: every unit's default before any unit's file of an environment.

    Calls nothing in them. Raises `MissingExportError`, `ShadowedModuleError`, `ConfigError`, and whatever a file raises itself.
    """
    files = []
    for name in config_names(info):
        for unit in units:
            content = export(unit, f"config.{name}", "config", _EXAMPLE)
            if content is None and not file_of(unit, f"config.{name}").is_file():
                continue
            file = ConfigFile(unit=unit, name=name, path=str(file_of(unit, f"config.{name}")), content=content)
            files.append(file)
    problems = [problem for file in files for problem in _content_problems(file)]
    if problems:
        raise ConfigError(problems, hint=f"write: {_EXAMPLE}")
    return tuple(files)


def _content_problems(file: ConfigFile) -> list[str]:
    if isinstance(file.content, dict):
        return []
    if not callable(file.content) or isinstance(file.content, type):
        return [f"config in {file.path} must be a dict or a function, not {_article(file.content)}"]
    most = 1 if file.unit.kind is UnitKind.APP else 2
    count = _parameters(file.content)
    if 1 <= count <= most:
        return []
    wanted = "one parameter (info)" if most == 1 else "one or two parameters (info, app_config)"
    return [f"the function config in {file.path} must have {wanted}, not {count}"]


def _parameters(function: Any) -> int:
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return sum(parameter.kind in kinds for parameter in inspect.signature(function).parameters.values())


def _check_ownership(file: ConfigFile, values: dict[str, Any]) -> None:
    """The framework's list of middleware is the framework's, and the application's is the application's. As Egg."""
    if file.unit.kind is not UnitKind.FRAMEWORK and "core_middleware" in values:
        raise ConfigError(
            [f"{file.path} defines core_middleware, which only a framework may"],
            hint="use middleware in the application; a plugin inserts into config['core_middleware'] in the hook `config_will_load`",
        )
    if file.unit.kind is not UnitKind.APP and "middleware" in values:
        raise ConfigError(
            [f"{file.path} defines middleware, which only the application may"],
            hint="use core_middleware in a framework; a plugin inserts into config['core_middleware'] in the hook `config_will_load`",
        )


def _article(value: object) -> str:
    if value is None:
        return "None"
    name = type(value).__name__
    return f"{'an' if name[:1].lower() in 'aeiou' else 'a'} {name}"
