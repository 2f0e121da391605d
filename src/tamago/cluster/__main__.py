"""`python -m tamago.cluster`: the bare master."""

import sys

from tamago.cluster.interpreter import EarlyNest, keep_sockets

launch_fd = int(sys.argv[-1])
keep_sockets(launch_fd)
early_nest = EarlyNest.if_possible() if sys.platform == "linux" else None

# asyncio loads ssl if it finds it: 5 MiB of a process that never speaks TLS. The others, who may, are started afresh.
sys.modules["ssl"] = None  # type: ignore[assignment]

from tamago.cluster.main import main  # noqa: E402

main(launch_fd, early_nest)
