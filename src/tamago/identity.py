"""Who this process is. The object stays the same from import on, so that an application may keep it; what it says changes at the fork."""

from __future__ import annotations

import os

from tamago.types import Identity, Role


class Me:
    """Tells as `tamago.me` who we are: `role`, `slot`, `generation`, `title`, `pid`, `env`, `in_cluster`.

    Outside a cluster (plain uvicorn, pytest, a shell) that is a worker in slot 1 of generation 1 without a title; `in_cluster` is False.
    """

    def __init__(self) -> None:
        self._identity: Identity | None = None

    def become(self, identity: Identity) -> None:
        """Take on an identity; the cluster does this once in each child."""
        self._identity = identity

    @property
    def identity(self) -> Identity:
        """All of it, frozen."""
        return self._identity or Identity(
            role=Role.WORKER, slot=1, generation=1, title="", pid=os.getpid(), env=os.environ.get("TAMAGO_ENV", "local"), in_cluster=False
        )

    @property
    def role(self) -> Role:
        return self.identity.role

    @property
    def slot(self) -> int:
        return self.identity.slot

    @property
    def generation(self) -> int:
        return self.identity.generation

    @property
    def title(self) -> str:
        return self.identity.title

    @property
    def pid(self) -> int:
        return self.identity.pid

    @property
    def env(self) -> str:
        return self.identity.env

    @property
    def in_cluster(self) -> bool:
        return self.identity.in_cluster

    def __repr__(self) -> str:
        return f"<tamago.me: {self.identity}>"


me = Me()
