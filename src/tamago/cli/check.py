"""`tamago check`: would it start? Checks the settings, then imports the application in a process of its own; serves nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import asdict
from typing import Annotated

import msgspec
import typer

from tamago.cli.declared import FlagValue
from tamago.cli.flags import accepts_settings, given
from tamago.cli.output import print_json
from tamago.cluster.certificates import load_certificates
from tamago.cluster.settings_sources import load
from tamago.cluster.target import find_target
from tamago.errors import TamagoError


class CheckTimeoutError(TamagoError):
    """The import took longer than a start would wait."""


@accepts_settings
def check(
    directory: Annotated[str, typer.Argument(metavar="[DIR]", help="Directory of the application.", show_default=False)] = ".",
    *,
    json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
    **flags: FlagValue | None,
) -> int:
    """Check settings, certificates and application.

    Imports the application and its agent without serving. Takes the flags of `start`.
    """
    settings = load(directory, os.environ, given(flags)).settings
    target = find_target(settings)
    if (tls := settings.tls_files()) is not None:
        load_certificates(tls, settings.directory)
    command = [sys.executable, "-P", "-m", "tamago.cli.check_target"]
    # It is the application that prints there, so it does so beside our own result.
    environ = {**os.environ, "TAMAGO_ENV": settings.env}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=2, env=environ) as child:
        try:
            child.communicate(msgspec.json.encode(asdict(target)), timeout=settings.boot_timeout)
        except subprocess.TimeoutExpired:
            child.kill()
            raise CheckTimeoutError(
                f"importing {target} took longer than {settings.boot_timeout:g} s",
                hint="allow more time with --boot-timeout, or find out what it waits for",
            ) from None
    if child.returncode:
        return child.returncode if child.returncode > 0 else 1
    if json:
        print_json({"ok": True, "title": settings.title, "directory": settings.directory, "target": asdict(target)})
    else:
        agent = f" and its agent {target.agent}" if target.agent else ""
        print(f"{settings.title}: the settings are right, and {target}{agent} can be imported")
    return 0
