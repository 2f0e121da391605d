"""Checks the values of configuration that are the framework's own and have no model, because they are no part but one value."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from tamago.app.config.models import Seconds
from tamago.core.config_errors import ConfigError
from tamago.core.config_merge import nearest_origin
from tamago.core.config_problems import find_problems
from tamago.core.redact import redact_at

_TYPES: Final[Mapping[str, Any]] = MappingProxyType(
    {
        "keys": str | list[str],
        "core_middleware": list[str],
        "middleware": list[str],
        "close_timeout": Seconds,
        "custom_logger": dict[str, Any],
        "custom_loader": dict[str, Any],
    }
)


def check_plain_values(values: Mapping[str, Any], origins: Mapping[str, Any]) -> None:
    """Raise ConfigError with every value that is not what the framework can use, and who set it."""
    problems = [
        f"{'.'.join(problem.path)}={redact_at(problem.path, problem.value)!r} ({nearest_origin(origins, problem.path)}): {problem.text}"
        for name, wanted in _TYPES.items()
        for problem in find_problems(values.get(name), wanted, (name,))
    ]
    if problems:
        raise ConfigError(problems)
