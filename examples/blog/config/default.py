"""What holds in every environment."""

from __future__ import annotations

from typing import Any

from tamago.app import AppInfo


def config(info: AppInfo) -> dict[str, Any]:
    return {
        "middleware": ["reading_time"],
        "db": {"url": f"sqlite:///{info.directory / 'blog.sqlite3'}"},
        "blog": {"title": "An Egg a Day", "page_size": 10},
    }
