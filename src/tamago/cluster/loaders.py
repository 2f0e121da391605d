"""The dotted names of the targets: all that the cluster knows of the other half."""

from __future__ import annotations

from typing import Final

HOSTED_LOADER: Final = "tamago.server.hosted:HostedTarget"
"""For other people's applications, ASGI, WSGI or native."""

FRAMEWORK_LOADER: Final = "tamago.server.framework:FrameworkTarget"
"""For a directory with app/ and config/."""
