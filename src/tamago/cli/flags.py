"""Flags that derive from the settings: one option for each, checked later together with all other sources."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final, TypeVar

import typer

from tamago.cluster.settings import KNOBS, Kind, Knob, default_text

Command = TypeVar("Command", bound=Callable[..., Any])

BY_ARGUMENT: Final = frozenset({"directory"})
"""Settings that are said by a positional argument."""


def accepts_settings(command: Command) -> Command:
    """Give a command, which takes `**flags`, one option for each setting; those not given arrive as None."""
    signature = inspect.signature(command, eval_str=True)
    own = [parameter for parameter in signature.parameters.values() if parameter.kind is not inspect.Parameter.VAR_KEYWORD]
    options = [_parameter(knob) for knob in KNOBS.values() if knob.name not in BY_ARGUMENT and knob.flag]
    command.__signature__ = signature.replace(parameters=[*own, *options])  # type: ignore[attr-defined]
    return command


def given(flags: Mapping[str, Any]) -> dict[str, Any]:
    """Return the flags that were given."""
    return {name: value for name, value in flags.items() if value is not None and value != []}


def _parameter(knob: Knob) -> inspect.Parameter:
    default = default_text(knob)
    help_text = f"{knob.doc} (default: {default})" if default else knob.doc
    names = f"{knob.flag}/{knob.opposite_flag}" if knob.opposite_flag else knob.flag
    # A switch takes no value to describe.
    metavar = None if knob.kind is Kind.SWITCH else "|".join(knob.choices) or (knob.unit or knob.kind.value).upper()
    annotation = {Kind.SWITCH: bool | None, Kind.LIST: list[str] | None}.get(knob.kind, str | None)
    option = typer.Option(names, help=help_text, metavar=metavar, rich_help_panel=knob.group, show_default=False)
    return inspect.Parameter(
        knob.name,
        inspect.Parameter.KEYWORD_ONLY,
        default=None,
        annotation=Annotated[annotation, option],
    )
