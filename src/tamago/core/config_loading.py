"""From files, models and environment to the merged configuration that hooks may still change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tamago.core.app_info import AppInfo
from tamago.core.config import freeze
from tamago.core.config_environment import environment_layers, texts
from tamago.core.config_errors import ConfigError
from tamago.core.config_files import ConfigFile, import_config
from tamago.core.config_merge import Layer, LoadedConfig, merged, origins
from tamago.core.config_models import default_layers
from tamago.core.config_problems import Models
from tamago.core.unit import LoadUnit, UnitKind

_HOW_TO_WRITE = """write TAMAGO_CONFIG='{"logger": {"level": "DEBUG"}}', or TAMAGO__LOGGER__LEVEL=DEBUG for one value"""
_BASE = Layer(origin="default of tamago", values={"core_middleware": [], "middleware": []}, defines=True)


async def load_config(units: Sequence[LoadUnit], info: AppInfo, models: Models, environ: Mapping[str, str]) -> LoadedConfig:
    """Ask every file, in order, and merge: models' defaults, files, TAMAGO_CONFIG, TAMAGO__A__B. Egg's order, to the letter.

    Each function is called once, the application's first, because others may ask for its configuration. Raises `ConfigError`, and
    whatever a function raises itself.
    """
    files = import_config(units, info)
    _check_environment(environ)
    said = [_BASE, *default_layers(models), *await _ask(files, info)]
    layers = (*said, *environment_layers(environ, [], merged(said)))
    return LoadedConfig(values=merged(layers), origins=origins(layers), layers=layers, texts=dict(texts(environ)))


def _check_environment(environ: Mapping[str, str]) -> None:
    """Complain before functions are called: one of them may wait for a server to tell a secret."""
    problems: list[str] = []
    environment_layers(environ, problems)
    if problems:
        raise ConfigError(problems, hint=_HOW_TO_WRITE)


async def _ask(files: Sequence[ConfigFile], info: AppInfo) -> list[Layer]:
    answers: dict[str, Layer] = {}
    own = [file for file in files if file.unit.kind is UnitKind.APP]
    for file in own:
        answers[file.path] = await _layer(file, info, None)
    # Of its own files Egg shows the plugins only these two, not those of a scope.
    shown = freeze(merged(answers[file.path] for file in own if file.name in ("default", info.env)))
    for file in files:
        if file.path not in answers:
            answers[file.path] = await _layer(file, info, shown)
    return [answers[file.path] for file in files]


async def _layer(file: ConfigFile, info: AppInfo, app_config: Any) -> Layer:
    return Layer(origin=file.path, values=await file.read(info, app_config), defines=file.is_default)
