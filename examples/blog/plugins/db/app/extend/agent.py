"""`app.db` of the agent."""

from __future__ import annotations

from sqlalchemy import Engine


class Agent:
    db: Engine
