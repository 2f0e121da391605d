"""Tables are declared on `Base`; whoever declares some imports it from here."""

from __future__ import annotations

from sqlalchemy.orm import DeclarativeBase


class Base(DeclarativeBase):
    """The base of every table."""
