"""Which commands there are, and where. Imports none of them."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any, Final

COMMANDS: Final = {
    "new": "tamago.cli.new:new",
    "start": "tamago.cli.start:start",
    "stop": "tamago.cli.stop:stop",
    "reload": "tamago.cli.reload:reload",
    "scale": "tamago.cli.scale:scale",
    "restart-agent": "tamago.cli.restart_agent:restart_agent",
    "kick": "tamago.cli.kick:kick",
    "status": "tamago.cli.status:status",
    "logs": "tamago.cli.logs:logs",
    "check": "tamago.cli.check:check",
    "config": "tamago.cli.config:config",
    "trace": "tamago.cli.trace:trace",
    "plugins": "tamago.cli.plugins:plugins",
    "routes": "tamago.cli.routes:routes",
    "types": "tamago.cli.types:types",
}
"""Every command of ours, in the order of `--help`."""

PLAIN: Final = frozenset({"stop", "reload", "scale", "restart-agent", "kick", "status"})
"""Those that scripts and probes call again and again: all they take is declared without typer."""


def command_function(name: str) -> Callable[..., Any]:
    """Import one command of ours."""
    module, _, attribute = COMMANDS[name].partition(":")
    function: Callable[..., Any] = getattr(import_module(module), attribute)
    return function
