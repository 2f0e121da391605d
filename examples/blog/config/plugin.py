"""Which plugins the blog has. Their order here means nothing: they are ordered by what they depend on."""

from __future__ import annotations

plugins = {
    "static": True,
    "feed": {"path": "plugins/feed"},
    "search": {"path": "plugins/search"},
    "db": {"path": "plugins/db"},
}
