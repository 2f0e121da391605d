"""`tamago routes`: every route of an application, in the order in which they are tried."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tamago.cli.columns import columns
from tamago.cli.looking_into import AppDirectory, Env, load_application, settings_of, users_code
from tamago.cli.output import print_json

if TYPE_CHECKING:
    from tamago.app.routing.describe import RouteRow

_TITLES = ("METHODS", "PATH", "NAME", "HANDLER", "MIDDLEWARE", "HOST", "TIMEOUT", "SOURCE")


def routes(
    directory: AppDirectory = ".",
    *,
    env: Env = "",
    json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> int:
    """List the routes.

    Imports the application, but runs none of its hooks.
    """
    settings = settings_of(directory, env)
    application = load_application(settings)
    with users_code():
        table = _table(application)
    # The framework is imported by now, so this costs nothing more.
    from tamago.app.routing import describe  # noqa: PLC0415

    rows = describe(table, Path(settings.directory).resolve())
    if json:
        print_json(rows)
    else:
        print("\n".join(columns(_TITLES, map(_cells, rows))))
    return 0


def _table(application: Any) -> Any:
    """Compile the routes, which finds those that are never reached. Nobody calls them here, so they need no handlers."""
    return application.register_routes().compile(lambda route: route.endpoint)


def _cells(row: RouteRow) -> tuple[str, ...]:
    return (
        "WEBSOCKET" if row.websocket else ",".join(row.methods),
        row.path,
        row.name or "",
        row.handler,
        ", ".join(row.middleware),
        row.host or "",
        f"{row.timeout:g} s" if row.timeout is not None else "",
        row.source,
    )
