"""Opens the database after the fork, so that no connection is shared, and closes it at the end.

The agent makes the tables: it is one, and the workers boot after it. Without an agent (another ASGI server),
or with a database of its own in memory (tests), the application does.
"""

from __future__ import annotations

import asyncio
from typing import Any

from plugins.db.database import Base
from sqlalchemy import Engine, create_engine
from sqlalchemy.pool import QueuePool

import tamago
from tamago.app import Boot

# What is in memory belongs to one connection. Threads take turns with it: two transactions at once in it would be one.
ONE_CONNECTION: dict[str, Any] = {
    "poolclass": QueuePool,
    "pool_size": 1,
    "max_overflow": 0,
    "connect_args": {"check_same_thread": False},
}


class Opening(Boot):
    @property
    def _is_in_memory(self) -> bool:
        return self.config.db.url in {"sqlite://", "sqlite:///:memory:"}

    def did_load(self) -> None:
        config = self.config.db
        self.app.db = create_engine(config.url, echo=config.echo, **(ONE_CONNECTION if self._is_in_memory else {}))

    def before_close(self) -> None:
        if hasattr(self.app, "db"):
            self.app.db.dispose()


class AppBoot(Opening):
    def did_load(self) -> None:
        super().did_load()
        self.app.on("response", close_session)

    async def will_ready(self) -> None:
        if self._is_in_memory or not tamago.me.in_cluster:
            await asyncio.to_thread(make_tables, self.app.db)


class AgentBoot(Opening):
    async def will_ready(self) -> None:
        await asyncio.to_thread(make_tables, self.app.db)


def close_session(ctx: Any) -> None:
    """The request is over: give the connection back."""
    session = vars(ctx).get("db")
    if session is not None:
        session.close()


def make_tables(engine: Engine) -> None:
    """Make what is not there yet."""
    Base.metadata.create_all(engine)
