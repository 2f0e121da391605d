"""A logger that belongs to one request."""

from __future__ import annotations

import logging
from collections.abc import MutableMapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    _Adapter = logging.LoggerAdapter[logging.Logger]
else:
    _Adapter = logging.LoggerAdapter


class ContextLogger(_Adapter):
    """Says of each line which request it belongs to, also where that request is not the current one."""

    def __init__(self, logger: logging.Logger, context: object) -> None:
        super().__init__(logger)
        self._context = context

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        """Give the record its context."""
        kwargs["extra"] = {**(kwargs.get("extra") or {}), "context": self._context}
        return msg, kwargs
