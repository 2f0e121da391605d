"""The defaults of `config.db`."""

from __future__ import annotations

config = {"db": {"url": "sqlite://", "echo": False}}
