"""`app.db`: the engine of this process."""

from __future__ import annotations

from sqlalchemy import Engine


class Application:
    db: Engine
