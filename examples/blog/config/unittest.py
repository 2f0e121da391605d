"""What holds in tests: a database in memory, nothing on disk."""

from __future__ import annotations

config = {"db": {"url": "sqlite://"}}
