"""Reads the arguments of the usual `tamago start` without the command line library, which costs a tenth of a second to import.

Whatever is not plainly a setting and its value (--daemon, --help, a mistake) is left to `start.py`. What is read here means
the same there; a test compares the two.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from tamago.cluster.settings import KNOBS, Kind, Knob


@dataclass(slots=True, kw_only=True)
class StartRequest:
    """What `tamago start` was asked for. `flags` holds the settings given, as text."""

    directory: str = "."
    flags: dict[str, str | bool | list[str]] = field(default_factory=dict)


def parse_start(argv: Sequence[str]) -> StartRequest | None:
    """Return the request, or None if these arguments are for the full parser."""
    request = StartRequest()
    options = {knob.flag: (knob, True) for knob in KNOBS.values() if knob.name != "directory" and knob.flag}
    options |= {knob.opposite_flag: (knob, False) for knob in KNOBS.values() if knob.opposite_flag}
    directories = []
    words = iter(argv)
    for word in words:
        if not word.startswith("-"):
            directories.append(word)
            continue
        flag, equals, value = word.partition("=")
        knob, state = options.get(flag, (None, True))
        if knob is None or (knob.kind is Kind.SWITCH and equals):
            return None
        if knob.kind is not Kind.SWITCH and not equals:
            value = next(words, "-")
            if value.startswith("-"):
                return None
        _note(request, knob, state, value)
    if len(directories) > 1:
        return None
    request.directory = directories[0] if directories else "."
    return request


def _note(request: StartRequest, knob: Knob, state: bool, value: str) -> None:
    if knob.kind is Kind.SWITCH:
        request.flags[knob.name] = state
    elif knob.kind is Kind.LIST:
        values = request.flags.setdefault(knob.name, [])
        assert isinstance(values, list)  # noqa: S101 - a list setting has nothing else
        values.append(value)
    else:
        request.flags[knob.name] = value
