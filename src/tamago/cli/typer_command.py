"""Makes a typer command of one of ours: what is declared without typer is declared once more in its words."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable
from typing import Annotated, Any, get_args

import typer
from typer.main import get_command

from tamago.cli.declared import Argument, Option


def typer_command(name: str, function: Callable[..., Any]) -> Any:
    """Return the command of this name, which calls the function."""
    app = typer.Typer(add_completion=False, rich_markup_mode=markup_mode(), pretty_exceptions_enable=False)
    app.command(name)(_in_words_of_typer(function))
    return get_command(app)


def markup_mode() -> Any:
    """Return typer's name for boxes and colours on a terminal, and for plain text elsewhere."""
    return "rich" if sys.stdout.isatty() else None


def _in_words_of_typer(function: Callable[..., Any]) -> Callable[..., Any]:
    signature = inspect.signature(function, eval_str=True)
    parameters = [_parameter(parameter) for parameter in signature.parameters.values()]

    @functools.wraps(function)
    def call(**arguments: Any) -> Any:
        return function(**arguments)

    # typer asks for the signature and for the annotations, so both must tell the same.
    call.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    call.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return call


def _parameter(parameter: inspect.Parameter) -> inspect.Parameter:
    match get_args(parameter.annotation):
        case (kind, Argument() as declared):
            wanted = parameter.default is inspect.Parameter.empty
            argument = typer.Argument(metavar=declared.metavar, help=declared.help, min=declared.low, show_default=wanted)
            return parameter.replace(annotation=Annotated[kind, argument])
        case (kind, Option() as declared):
            shown = parameter.default not in ("", None)
            option = typer.Option(declared.flag, metavar=declared.metavar, help=declared.help, min=declared.low, show_default=shown)
            return parameter.replace(annotation=Annotated[kind, option])
        case _:
            return parameter
