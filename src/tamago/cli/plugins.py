"""`tamago plugins`: which plugins an application has, in which order, and why."""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tamago.cli.columns import columns
from tamago.cli.looking_into import Env, framework_of, settings_of, users_code
from tamago.cli.output import print_json
from tamago.cluster.settings import Settings
from tamago.errors import ExitCode, TamagoError

if TYPE_CHECKING:
    from tamago.core.plugin_resolved import Plugins


class Action(StrEnum):
    """What is asked."""

    LIST = "list"
    WHY = "why"
    GRAPH = "graph"


class Form(StrEnum):
    """How a graph is drawn."""

    TEXT = "text"
    MERMAID = "mermaid"
    DOT = "dot"


class WhichPluginError(TamagoError):
    """A name is missing, or one too many."""

    exit_code = ExitCode.USAGE


def plugins(
    action: Annotated[Action, typer.Argument(help="list: all of them; why: one of them; graph: who needs whom.")] = Action.LIST,
    name: Annotated[str, typer.Argument(metavar="[NAME]", help="With why: the plugin.", show_default=False)] = "",
    *,
    directory: Annotated[str, typer.Option("--directory", metavar="DIR", help="Directory of the application.")] = ".",
    env: Env = "",
    form: Annotated[Form, typer.Option("--format", help="With graph: how to draw it.")] = Form.TEXT,
    json: Annotated[bool, typer.Option("--json", help="With list: print the result as JSON.")] = False,
) -> int:
    """Show the plugins.

    In the order they are loaded, which is by what they depend on. Imports the enabled ones, but nothing of the application.
    """
    if bool(name) is not (action is Action.WHY):
        raise _wrong_name(action, name)
    found = _read(settings_of(directory, env))
    if json and action is Action.LIST:
        from tamago.core.plugin_views import describe  # noqa: PLC0415 - as below

        print_json(describe(found))
    else:
        print(_text(found, action, name, form))
    return 0


def _text(plugins: Plugins, action: Action, name: str, form: Form) -> str:
    # Importing the framework takes a tenth of a second, which `tamago --help` is not to wait for.
    from tamago.core import plugin_views  # noqa: PLC0415

    match action:
        case Action.LIST:
            titles = tuple(title.upper() for title in plugin_views.COLUMNS)
            return "\n".join(columns(titles, plugin_views.rows(plugins)))
        case Action.WHY:
            return "\n".join(plugins.why(name))
        case Action.GRAPH:
            return plugin_views.graph(plugins, plugin_views.GraphFormat["TREE" if form is Form.TEXT else form.name])


def _read(settings: Settings) -> Plugins:
    from tamago.app.loaded import framework_units  # noqa: PLC0415 - as above
    from tamago.core.app_info import app_info  # noqa: PLC0415
    from tamago.core.importing import adopt  # noqa: PLC0415
    from tamago.core.plugin_loading import load_plugins  # noqa: PLC0415

    place = Path(settings.directory).resolve()
    with users_code():
        adopt(place)
        frameworks = tuple(framework_units(framework_of(settings)))
        return load_plugins(app_info(place, env=settings.env, environ=os.environ), frameworks, os.environ)


def _wrong_name(action: Action, name: str) -> WhichPluginError:
    if action is Action.WHY:
        return WhichPluginError("why needs the name of a plugin", hint="for example: tamago plugins why static")
    return WhichPluginError(f"{action.value} takes no name, and {name!r} was given", hint=f"did you mean: tamago plugins why {name}")
