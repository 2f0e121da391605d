"""Makes the index once the tables are there: `will_ready` of all plugins comes after `did_load` of all."""

from __future__ import annotations

import asyncio

from sqlalchemy import Engine, text

from tamago.app import Boot


class AppBoot(Boot):
    async def will_ready(self) -> None:
        await asyncio.to_thread(_make_index, self.app.db)


def _make_index(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("CREATE VIRTUAL TABLE IF NOT EXISTS search USING fts5(title, body, content='')"))
