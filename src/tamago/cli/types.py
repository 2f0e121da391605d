"""`tamago types`: writes `app/types.py`, which tells editors and type checkers what an application and its plugins put where."""

from __future__ import annotations

import asyncio
from importlib import import_module
from pathlib import Path
from typing import Annotated

import typer

from tamago.cli.app_types import AppTypes, app_types
from tamago.cli.looking_into import AppDirectory, Env, framework_of, load_application, settings_of, users_code
from tamago.cli.type_module import FIRST_LINE, NAMES, render
from tamago.cli.types_stand_in import standing_in
from tamago.cluster.settings import Settings
from tamago.errors import TamagoError


class StaleTypesError(TamagoError):
    """The file does not say what the application is now."""


class NotOurFileError(TamagoError):
    """A file of that name is there, and this command did not write it."""


def types(
    directory: AppDirectory = ".",
    *,
    env: Env = "",
    check: Annotated[bool, typer.Option("--check", help="Write nothing; fail if the file is missing or not up to date.")] = False,
) -> int:
    """Write app/types.py.

    With it ctx.service.x, what plugins and custom loaders add to app and ctx, and the typed parts of config are known to editors and type
    checkers. Imports the application and reads its configuration, but runs none of its hooks: custom loaders that one adds are not seen.
    """
    settings = settings_of(directory, env)
    place = Path(settings.directory) / "app" / "types.py"
    before = place.read_text("utf-8") if place.exists() else ""
    if before and FIRST_LINE not in before:
        raise NotOurFileError(f"{place} was not written by this command", hint="rename it: this is where the types go")
    text = render(_look(settings))
    if check:
        if before != text:
            raise StaleTypesError(f"{place} {'is not up to date' if before else 'does not exist'}", hint="write it: tamago types")
        return 0
    place.write_text(text, "utf-8")
    print(f"{place} is {'as it was' if before == text else 'written'}")
    return 0


def _look(settings: Settings) -> AppTypes:
    with users_code():
        kinds = {kind: framework_of(settings, kind) for kind in ("Application", "Agent")}
    ours = vars(import_module("tamago.app"))
    with standing_in({name: ours[name] for name in NAMES} | kinds):
        application, agent = load_application(settings), load_application(settings, "Agent")
        with users_code():
            asyncio.run(application.read_configuration())
            custom = application.load_custom()
    return app_types(application, agent, custom)
