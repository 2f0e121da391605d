"""The dotted name of the target that hosts other people's applications: all that the cluster knows of the other half."""

from __future__ import annotations

from typing import Final

HOSTED_LOADER: Final = "tamago.server.hosted:HostedTarget"
