"""Opens the database after the fork, so that no connection is shared, and closes it at the end."""

from __future__ import annotations

import asyncio

from plugins.db.database import Base
from sqlalchemy import create_engine
from sqlalchemy.pool import StaticPool

from tamago.app import Boot


class AppBoot(Boot):
    async def did_load(self) -> None:
        config = self.config.db
        in_memory = config.url in {"sqlite://", "sqlite:///:memory:"}
        options = {"poolclass": StaticPool, "connect_args": {"check_same_thread": False}} if in_memory else {}
        self.app.db = create_engine(config.url, echo=config.echo, **options)
        await asyncio.to_thread(Base.metadata.create_all, self.app.db)

    def before_close(self) -> None:
        if hasattr(self.app, "db"):
            self.app.db.dispose()
