"""`tamago config`: every setting as it would be used, and where it comes from; with --why, a key of the application's configuration."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Annotated

import typer

from tamago.cli import config_why
from tamago.cli.declared import FlagValue
from tamago.cli.flags import BY_ARGUMENT, accepts_settings, given
from tamago.cli.looking_into import require_framework
from tamago.cli.output import print_json
from tamago.cluster.settings import KNOBS, Kind, Knob, Settings, Value, default_text
from tamago.cluster.settings_sources import load


@accepts_settings
def config(
    directory: Annotated[str, typer.Argument(metavar="[DIR]", help="Directory of the application.", show_default=False)] = ".",
    *,
    explain: Annotated[bool, typer.Option("--explain", help="Say where each value comes from.")] = False,
    why: Annotated[
        str,
        typer.Option(
            "--why", metavar="KEY", help="Who sets a key in config/ of the application, such as logger.level.", show_default=False
        ),
    ] = "",
    json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
    **flags: FlagValue | None,
) -> int:
    """Show every setting.

    As `start` would use it, in the notation of tamago.toml. Takes the flags of `start`. With --why it shows instead who sets a key of the
    application's own configuration; the last one wins.
    """
    resolved = load(directory, os.environ, given(flags))
    if why:
        found = config_why.ask(require_framework(resolved.settings), why)
        if json:
            print_json(found)
        else:
            print("\n".join(config_why.lines(found)))
        return 0
    if json:
        print_json(
            {
                name: {"value": _shown(resolved.settings, knob), "origin": resolved.origins[name]}
                if explain
                else _shown(resolved.settings, knob)
                for name, knob in KNOBS.items()
            }
        )
    else:
        print("\n".join(_lines(resolved.settings, resolved.origins, explain=explain)))
    return 0


def _lines(settings: Settings, origins: Mapping[str, str], *, explain: bool) -> Iterator[str]:
    group = ""
    for name, knob in KNOBS.items():
        if knob.group != group:
            yield f"# {knob.group}" if not group else f"\n# {knob.group}"
            group = knob.group
        value = _shown(settings, knob)
        line = f"{name} = {toml(value, knob)}"
        if value is None or name in BY_ARGUMENT or knob.secret or (settings.bind and name in ("host", "port")):
            # What a file cannot say, or what has no effect, is a comment in it.
            line = f"# {line}"
        note = f"{origins[name]}" if explain else ""
        if knob.shown and value == knob.default:
            note = f"{note}: {default_text(knob)}".lstrip(": ")
        yield f"{line:<40} # {note}" if note else line


def _shown(settings: Settings, knob: Knob) -> Value:
    value: Value = getattr(settings, knob.name)
    return "(secret)" if knob.secret and value else value


def toml(value: Value, knob: Knob) -> str:
    """Write a value as TOML does."""
    match value:
        case None:
            return '""'
        case bool():
            return "true" if value else "false"
        case tuple():
            return "[" + ", ".join(_quoted(item) for item in value) + "]"
        case str():
            return _quoted(value)
        case int() if knob.kind is Kind.OCTAL:
            return f'"{value:o}"'
        case _:
            return f"{value:.15g}"


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
