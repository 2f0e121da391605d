"""Reads the arguments of the usual `tamago start` without the command line library, which costs a tenth of a second and more to import.

Whatever is not plainly a setting or an option and its value (--help, a mistake) is left to `start.py`. What is read here means
the same there; a test compares the two.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Final

from tamago.cli.declared import Argument, FlagValue, Option
from tamago.cli.plain_call import read_plainly
from tamago.cluster.settings import KNOBS, Kind, Knob

_TIMEOUT: Final = Option(flag="--timeout", metavar="SECONDS", low=0.1, help="With --daemon: how long to wait until every worker serves.")

START_SECONDS: Final = 120.0
"""How long a start as a daemon may take unless --timeout says otherwise."""


@dataclass(slots=True, kw_only=True)
class StartRequest:
    """What `tamago start` was asked for. `flags` holds the settings given, as text; `timeout` is in seconds."""

    directory: str = "."
    daemon: bool = False
    timeout: float = START_SECONDS
    as_json: bool = False
    flags: dict[str, FlagValue] = field(default_factory=dict)


def start_request(
    directory: Annotated[str, Argument(metavar="[DIR]", help="Directory of the application.")] = ".",
    *,
    daemon: Annotated[bool, Option(flag="--daemon", help="Run in the background; return when every worker serves.")] = False,
    timeout: Annotated[float, _TIMEOUT] = START_SECONDS,
    json: Annotated[bool, Option(flag="--json", help="With --daemon: print the result as JSON.")] = False,
    **flags: FlagValue,
) -> StartRequest:
    """Return the request. What the command takes is declared here, for both who read its arguments; `flags` are settings."""
    return StartRequest(directory=directory, daemon=daemon, timeout=timeout, as_json=json, flags=flags)


def parse_start(argv: Sequence[str]) -> StartRequest | None:
    """Return the request, or None if these arguments are for the full parser."""
    flags: dict[str, FlagValue] = {}
    options = {knob.flag: (knob, True) for knob in KNOBS.values() if knob.name != "directory" and knob.flag}
    options |= {knob.opposite_flag: (knob, False) for knob in KNOBS.values() if knob.opposite_flag}
    own: list[str] = []
    words = iter(argv)
    for word in words:
        flag, equals, value = word.partition("=")
        if flag not in options:
            own.append(word)
            continue
        knob, state = options[flag]
        if (knob.kind is Kind.SWITCH and equals) or own[-1:] == [_TIMEOUT.flag]:  # the flag stands where its value should
            return None
        if knob.kind is not Kind.SWITCH and not equals:
            value = next(words, "-")
            if value.startswith("-"):
                return None
        _note(flags, knob, state, value)
    arguments = read_plainly(start_request, own)
    return None if arguments is None else start_request(**(arguments | flags))


def _note(flags: dict[str, FlagValue], knob: Knob, state: bool, value: str) -> None:
    if knob.kind is Kind.SWITCH:
        flags[knob.name] = state
    elif knob.kind is Kind.LIST:
        values = flags.setdefault(knob.name, [])
        assert isinstance(values, list)  # noqa: S101 - a list setting has nothing else
        values.append(value)
    else:
        flags[knob.name] = value
