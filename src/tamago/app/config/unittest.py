"""What holds in tests: lines are in the files when they are asked for, and the console is for what is wrong."""

from __future__ import annotations

config = {"logger": {"buffer": False, "console_level": "WARNING"}}
