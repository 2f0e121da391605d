"""What holds while developing: the console is for the application's lines."""

from __future__ import annotations

config = {"logger": {"core_logger": {"console_level": "WARNING"}}}
