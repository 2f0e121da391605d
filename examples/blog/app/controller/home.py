"""The page, and what the agent knows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tamago
from tamago.app import Controller
from tamago.types import Group


class HomeController(Controller):
    async def index(self) -> Path:
        return self.app.directory / "app" / "public" / "index.html"

    async def stats(self) -> dict[str, Any]:
        """Ask the agent, the one process that has seen all."""
        counted = await self.app.messenger.request(Group.AGENT, "blog.stats")
        return {"title": self.config.blog.title, "worker": tamago.me.slot, **counted}
