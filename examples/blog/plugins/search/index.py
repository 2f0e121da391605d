"""The index is a table of SQLite's beside the others, which SQLAlchemy makes with them."""

from __future__ import annotations

from typing import Any

from plugins.db.database import Base
from sqlalchemy import Connection, event, text


@event.listens_for(Base.metadata, "after_create")
def make_index(_target: object, connection: Connection, **_: Any) -> None:
    connection.execute(text("CREATE VIRTUAL TABLE IF NOT EXISTS search USING fts5(title, body, content='')"))
