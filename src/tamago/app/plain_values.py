"""The types of what is the framework's own in the configuration and has no model, because it is no part but one value."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from tamago.app.config.models import Seconds

TYPES: Final[Mapping[str, Any]] = MappingProxyType(
    {
        "keys": str | list[str],
        "core_middleware": list[str],
        "middleware": list[str],
        "close_timeout": Seconds,
        "custom_logger": dict[str, Any],
        "custom_loader": dict[str, Any],
    }
)
