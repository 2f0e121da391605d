"""One master, one agent, N app workers: run and build Python web applications the way Egg.js does for Node.

In any process of a cluster, and in the in-memory twin outside of one:

`me` says who this process is, `messenger` talks to the others, `ready` tells when the whole cluster serves.
`Cluster` embeds a cluster into a program of your own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tamago.identity import me
from tamago.ready import Ready
from tamago.types import Group, Pid, Role, Slot

if TYPE_CHECKING:
    from tamago.cluster.master import Cluster
    from tamago.ipc.messenger import Messenger

    messenger: Messenger

__version__ = "0.1.0"
__all__ = ["Cluster", "Group", "Pid", "Role", "Slot", "me", "messenger", "ready"]

ready = Ready()
ready.set()  # the cluster takes it back in each of its processes, until it serves
"""Call it with a callback, or `await tamago.ready()`: the cluster serves. Outside a cluster that is so at once."""


def __getattr__(name: str) -> object:
    # `import tamago` in a hosted application must cost next to nothing, and the master must not load what only children use.
    if name == "messenger":
        from tamago.ipc.messenger import Messenger  # noqa: PLC0415 - the point of this function

        value: object = Messenger()
    elif name == "Cluster":
        from tamago.cluster.master import Cluster  # noqa: PLC0415 - the point of this function

        value = Cluster
    else:
        raise AttributeError(f"module 'tamago' has no attribute {name!r}")
    globals()[name] = value
    return value
