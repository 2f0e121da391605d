"""`tamago scale`: have more or fewer workers."""

from __future__ import annotations

import re
from typing import Annotated

from tamago.cli.choice import AsJson, Directory, Title, carry_out
from tamago.cli.declared import Argument
from tamago.errors import ExitCode, TamagoError


class ScaleError(TamagoError):
    """What was given is no number of workers."""

    exit_code = ExitCode.USAGE


def scale(
    workers: Annotated[str, Argument(metavar="N", help="How many workers to have; +N or -N (after --) for more or fewer.")],
    directory: Directory = ".",
    *,
    title: Title = "",
    json: AsJson = False,
) -> int:
    """Have N workers from now on."""
    if not re.fullmatch(r"[+-]?[0-9]{1,6}", workers):
        raise ScaleError(f"{workers!r} is no number of workers", hint="for example: tamago scale 4, or tamago scale +1")
    return carry_out(directory, title, "scale", {"workers": int(workers), "relative": workers[0] in "+-"}, as_json=json)
