"""An application's loggers: the standard library's, written to Egg's files."""

from __future__ import annotations

from tamago.app.logging.context_logger import ContextLogger
from tamago.app.logging.loggers import Loggers, build_loggers
from tamago.app.logging.options import Concentrate, CustomLogger, Level, LoggerConfig, convert_custom

__all__ = ["Concentrate", "ContextLogger", "CustomLogger", "Level", "LoggerConfig", "Loggers", "build_loggers", "convert_custom"]
