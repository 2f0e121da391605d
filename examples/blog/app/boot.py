"""What happens when processes of the blog begin and end."""

from __future__ import annotations

from typing import Any

from app import tables

from tamago.app import Boot


class AppBoot(Boot):
    def did_load(self) -> None:
        self.logger.info("%s has %d routes", self.config.blog.title, len(self.app.routes))


class AgentBoot(Boot):
    """The agent counts what is published, once for all workers. It has the database plugin make the tables, so it must know them."""

    tables = tables

    def __init__(self, app: Any) -> None:
        super().__init__(app)
        self._published = 0
        self._last = ""

    def did_load(self) -> None:
        self.app.messenger.on("blog.published", self._heard)
        self.app.messenger.on("blog.stats", lambda _: {"published": self._published, "last": self._last})

    def _heard(self, title: str) -> None:
        self._published += 1
        self._last = title
