"""Full-text search, in an index of SQLite's beside the tables."""

from __future__ import annotations

from tamago.app import Plugin

plugin = Plugin(name="search", dependencies=("db",))
