"""How the short commands declare their arguments and options, for whoever reads them: typer, or the plain reader, which does without it."""

from __future__ import annotations

from dataclasses import dataclass

FlagValue = str | bool | list[str]
"""What a setting is given as on the command line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Argument:
    """A word whose place says what it is. `low` is the least a number may be."""

    metavar: str
    help: str
    low: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """A flag, with a value unless it is a bool. `low` is the least a number may be."""

    flag: str
    help: str
    metavar: str | None = None
    low: float | None = None
