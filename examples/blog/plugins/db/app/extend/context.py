"""`ctx.db`: a session for this request."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from sqlalchemy.orm import Session


class Context:
    app: Any

    @cached_property
    def db(self) -> Session:
        return Session(self.app.db, expire_on_commit=False)
