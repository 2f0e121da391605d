"""Opens the database after the fork, so that no connection is shared, and closes it at the end.

The agent makes the tables: it is one, and the workers boot after it. Without an agent (tests, another ASGI server) the application does.
"""

from __future__ import annotations

import asyncio

from plugins.db.database import Base
from sqlalchemy import Engine, create_engine
from sqlalchemy.pool import StaticPool

import tamago
from tamago.app import Boot


class Opening(Boot):
    def did_load(self) -> None:
        config = self.config.db
        in_memory = config.url in {"sqlite://", "sqlite:///:memory:"}
        options = {"poolclass": StaticPool, "connect_args": {"check_same_thread": False}} if in_memory else {}
        self.app.db = create_engine(config.url, echo=config.echo, **options)

    def before_close(self) -> None:
        if hasattr(self.app, "db"):
            self.app.db.dispose()


class AppBoot(Opening):
    async def will_ready(self) -> None:
        if not tamago.me.in_cluster:
            await asyncio.to_thread(make_tables, self.app.db)


class AgentBoot(Opening):
    async def will_ready(self) -> None:
        await asyncio.to_thread(make_tables, self.app.db)


def make_tables(engine: Engine) -> None:
    """Make what is not there yet."""
    Base.metadata.create_all(engine)
