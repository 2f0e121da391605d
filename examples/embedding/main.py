"""A program of your own with a cluster inside: it starts one, watches it, uses it, reloads it and stops it.

Run it from anywhere: `python examples/embedding/main.py`. It prints what happens and ends by itself.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from urllib.request import urlopen

from tamago import Cluster
from tamago.cluster.events import EnterState, ProcessExited, ReloadRequested
from tamago.cluster.settings import Settings
from tamago.errors import TamagoError

HERE = Path(__file__).parent


async def main() -> int:
    """Return the exit code."""
    # Port 0: the kernel picks a free one, and `cluster.addresses` tells which.
    cluster = Cluster(Settings(directory=str(HERE), app="site_app:app", title="embedding", workers=2, port=0))

    # Every event and every command of the supervisor can be listened to; docs/reference/events.md lists them.
    cluster.on(EnterState, lambda command: print(f"state: {command.state.value}"))
    cluster.on(ReloadRequested, lambda _event: print("somebody asked for a reload"))
    exits: list[ProcessExited] = []
    cluster.on(ProcessExited, exits.append)
    cluster.ready(lambda: print(f"ready: {len(cluster.addresses)} address"))

    try:
        await cluster.start()
    except TamagoError as error:
        # Whatever had been started is stopped again. `detail` is the application's own traceback, if there is one.
        print(error.detail, error, sep="\n", file=sys.stderr)
        return int(error.exit_code)

    try:
        print("answered:", await fetch(cluster.addresses[0]))
        print("reload:", await cluster.reload())
        print("answered:", await fetch(cluster.addresses[0]))
        print("workers:", cluster.status()["workers"])
    finally:
        ending = await cluster.stop()
    print(f"stopped with code {ending.code}; {len(exits)} processes have come and gone")
    return ending.code


async def fetch(address: str) -> str:
    """Ask the cluster for its front page. In a thread: the master lives on this event loop, and must not be held up."""

    def get() -> str:
        with urlopen(address, timeout=10) as answer:  # noqa: S310 - the address is our own
            body: bytes = answer.read()
        return body.decode()

    return await asyncio.to_thread(get)


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
