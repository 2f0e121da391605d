"""The agent's side of an application: the one process for what must happen once."""

from __future__ import annotations

from typing import ClassVar

from tamago.app.base_application import BaseApplication
from tamago.types import Role


class Agent(BaseApplication):
    """What `app/boot.py`'s AgentBoot and the plugins' agents live in. Serves no requests. Egg's `Agent`."""

    kind: ClassVar[str] = "agent"
    boot_class: ClassVar[str] = "AgentBoot"
    role: ClassVar[Role] = Role.AGENT
