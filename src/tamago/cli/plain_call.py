"""Reads the arguments of a short command without the command line library, which with its own costs more than the command.

Whatever is not plainly an argument or an option and its value (--help, a mistake) is left to the full parser. What is read here
means the same there: both read the same declarations, and a test compares the two.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, get_args

from tamago.cli.declared import Argument, Option

_NUMBER = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?")


class _NotPlainError(Exception):
    """These arguments are for the full parser."""


def read_plainly(command: Callable[..., Any], argv: Sequence[str]) -> dict[str, Any] | None:
    """Return the arguments to call the command with, or None if these are for the full parser."""
    signature = inspect.signature(command, eval_str=True)
    parameters = {name: each for name, each in signature.parameters.items() if each.kind is not inspect.Parameter.VAR_KEYWORD}
    try:
        given, words = _options(parameters, argv)
        given |= _arguments(parameters, words)
    except _NotPlainError:
        return None
    missing = [name for name, parameter in parameters.items() if parameter.default is inspect.Parameter.empty and name not in given]
    return None if missing else given


def _options(parameters: Mapping[str, inspect.Parameter], argv: Sequence[str]) -> tuple[dict[str, Any], list[str]]:
    """Return the options given and the words that are none."""
    options = {declared.flag: (name, kind, declared) for name, kind, declared in _declared(parameters) if isinstance(declared, Option)}
    given: dict[str, Any] = {}
    rest: list[str] = []
    words = iter(argv)
    for word in words:
        if not word.startswith("-"):
            rest.append(word)
            continue
        flag, equals, value = word.partition("=")
        if flag not in options:
            raise _NotPlainError
        name, kind, option = options[flag]
        if kind is bool:
            if equals:
                raise _NotPlainError
            given[name] = True
            continue
        given[name] = _value(kind, value if equals else next(words, "-"), option)
    return given, rest


def _arguments(parameters: Mapping[str, inspect.Parameter], words: Sequence[str]) -> dict[str, Any]:
    places = [each for each in _declared(parameters) if isinstance(each[2], Argument)]
    if len(words) > len(places):
        raise _NotPlainError
    return {name: _value(kind, word, declared) for (name, kind, declared), word in zip(places, words, strict=False)}


def _declared(parameters: Mapping[str, inspect.Parameter]) -> Iterable[tuple[str, type, Argument | Option]]:
    """Yield name, type and declaration of each parameter."""
    for name, parameter in parameters.items():
        annotation, declared = get_args(parameter.annotation)
        # `float | None` is a float when it is given.
        yield name, next(iter(get_args(annotation)), annotation), declared


def _value(kind: type, text: str, declared: Argument | Option) -> Any:
    if text.startswith("-"):
        raise _NotPlainError
    if kind is str:
        return text
    if not _NUMBER.fullmatch(text) or (kind is int and not text.isdecimal()) or float(text) < (declared.low or 0):
        raise _NotPlainError
    return kind(text)
