"""The command group: ours, loaded when needed, and how their mistakes are shown. Plugins add theirs."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
from difflib import get_close_matches
from importlib.metadata import version as installed
from typing import Annotated, Any

import typer
from typer.core import TyperGroup
from typer.main import get_command

from tamago.cli.commands import COMMANDS, command_function
from tamago.cli.plugin_commands import Plugins
from tamago.cli.typer_command import markup_mode, typer_command
from tamago.errors import ExitCode, TamagoError


class UsageError(TamagoError):
    """The command line itself is wrong."""

    exit_code = ExitCode.USAGE


class CommandGroup(TyperGroup):
    """Imports a command when it is asked for; what is not ours may be a plugin's."""

    plugins: Plugins

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002
        """Name all commands, ours first."""
        return [*COMMANDS, *sorted(self.plugins.load_all(reserved=COMMANDS))]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002
        """Return one command, or None."""
        if cmd_name in COMMANDS:
            if cmd_name not in self.commands:
                self.commands[cmd_name] = typer_command(cmd_name, command_function(cmd_name))
            return self.commands[cmd_name]
        return self.plugins.find(cmd_name, reserved=COMMANDS)


def build() -> CommandGroup:
    """Make the command group."""
    app = typer.Typer(
        cls=CommandGroup,
        help="Run a Python web application as one master, one agent and N app workers.",
        rich_markup_mode=markup_mode(),
        pretty_exceptions_enable=False,
    )
    app.callback()(_root)
    group = get_command(app)
    assert isinstance(group, CommandGroup)  # noqa: S101 - it is the class asked for above
    group.plugins = Plugins()
    return group


def invoke(argv: Sequence[str]) -> int:
    """Run one command and return its exit code."""
    group = build()
    try:
        code = group.main(args=list(argv) or ["--help"], prog_name="tamago", standalone_mode=False)
    except TamagoError:
        raise
    except Exception as error:
        # typer's errors have no public base class in all of its versions, but they all can do this.
        if not hasattr(error, "format_message"):
            if type(error).__name__ == "Abort":
                raise KeyboardInterrupt from None
            raise
        raise _mistake(group, error, argv) from None
    if not argv:
        return int(ExitCode.USAGE)
    return code if isinstance(code, int) else 0


def _mistake(group: CommandGroup, error: Any, argv: Sequence[str]) -> UsageError:
    """Put a mistake on the command line into our own words."""
    problem = str(error.format_message()).rstrip(".")
    problem = (problem[:1].lower() + problem[1:]).replace(": Value error, ", ": ")
    problem = problem.partition(", unable to parse")[0].replace(": Input should", f": {_value(error)} should")
    # Not every mistake knows in which command it was made.
    command = f"tamago {argv[0]}" if argv[0] in COMMANDS or argv[0] in group.plugins else "tamago"
    if re.fullmatch(r"-[0-9.]+", option := str(getattr(error, "option_name", ""))):
        return UsageError(f"{option} looks like an option", hint=f"a negative number goes after --: {command} -- {option}")
    hint = _advice(group, error, problem) or f"see `{command} --help`"
    return UsageError(_without_advice(problem), hint=hint)


def _value(error: Any) -> str:
    """Return the value that was given; typer's own sentence leaves it out where pydantic refused it."""
    refusals: Sequence[Any] = getattr(error.__cause__, "errors", list)()
    return repr(refusals[0]["input"]) if refusals else "it"


def _without_advice(problem: str) -> str:
    return problem.partition(". Did you mean")[0].partition(" (Possible options")[0]


def _advice(group: CommandGroup, error: Any, problem: str) -> str:
    if possible := getattr(error, "possibilities", None):
        # typer's own idea of similar is wide: it offers --backlog for --color.
        close = get_close_matches(getattr(error, "option_name", ""), possible, n=1, cutoff=0.7)
        return f"did you mean {close[0]}?" if close else ""
    if problem.startswith("no such command"):
        wrong = problem.partition("'")[2].partition("'")[0]
        close = get_close_matches(wrong, group.list_commands(None), n=1)
        return f"did you mean {close[0]}?" if close else ""
    return ""


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"tamago {installed('tamago')} (Python {sys.version.split()[0]}, {os.uname().sysname})")
        raise typer.Exit(0)


def _root(
    *,
    version: Annotated[bool, typer.Option("--version", help="Print the version and leave.", is_eager=True, callback=_show_version)] = False,
) -> None:
    del version
