"""A database for the application: one engine a process, one session a request."""

from __future__ import annotations

from msgspec import Struct

from tamago.app import Plugin


class DbConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """`url` is SQLAlchemy's; `echo` logs every statement."""

    url: str
    echo: bool = False


plugin = Plugin(name="db", config=DbConfig)
