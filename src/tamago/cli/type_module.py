"""Writes the text of `app/types.py`. Pure.

At run time its classes are the framework's own, so deriving from them or annotating with them changes nothing. Only type checkers see the
composed ones: they have no way to know what a loader does.
"""

from __future__ import annotations

import keyword
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from tamago.cli.app_types import AppTypes

FIRST_LINE: Final = (
    '"""Types of this application, for editors and type checkers. Written by `tamago types`, which has to run when they change."""'
)
_HEAD: Final = f"""\
{FIRST_LINE}
# mypy: ignore-errors
# pyright: basic, reportIncompatibleVariableOverride=false, reportIncompatibleMethodOverride=false
# ruff: noqa
# fmt: off

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
"""

_OF_A_CONTEXT: Final = (("app", "Application"), ("config", "Config"), ("ctx", "Context"), ("service", "Services"))
_MEMBERS: Final = {
    "Application": (("config", "Config"),),
    "Agent": (("config", "Config"),),
    "Context": (
        ("app", "Application"),
        ("config", "Config"),
        ("helper", "Helper"),
        ("request", "RequestView"),
        ("response", "ResponseView"),
        ("service", "Services"),
    ),
    "Helper": _OF_A_CONTEXT,
    "RequestView": (("app", "Application"), ("ctx", "Context")),
    "ResponseView": (("app", "Application"), ("ctx", "Context")),
    "Controller": _OF_A_CONTEXT,
    "Service": _OF_A_CONTEXT,
    "Boot": (("app", "Application"), ("config", "Config")),
}
NAMES: Final = tuple(_MEMBERS)
"""What can be imported from the module at run time."""
_OURS: Final = {"Controller": "tamago.app.Controller", "Service": "tamago.app.Service", "Boot": "tamago.app.Boot"}
_CONFIG: Final = "tamago.core.config.Config"


def render(types: AppTypes) -> str:
    """Return the module's text."""
    bases = types.bases | {name: (base,) for name, base in _OURS.items()}
    loaded = [cls for attributes in types.custom.values() for classes in attributes.values() for cls in classes.values()]
    used = [_CONFIG, *types.services.values(), *types.config.values(), *loaded, *(base for listed in bases.values() for base in listed)]
    names = _aliases(used, taken={"Config", "Services", *_MEMBERS})
    checked = [
        *_imports(names),
        *_namespace("Services", types.services, names),
        *_class("Config", [names[_CONFIG]], [(part, names[model]) for part, model in types.config.items() if _is_name(part)]),
    ]
    for name, members in _MEMBERS.items():
        custom = types.custom.get(name, {})
        for attribute, classes in custom.items():
            checked += _namespace(f"{name}_{attribute}", classes, names)
        attributes = [*members, *((attribute, f"{name}_{attribute}") for attribute in custom)]
        checked += _class(name, [names[base] for base in bases[name]], attributes)
    body = "".join(f"    {line}\n" if line else "\n" for line in checked)
    at_run_time = "".join(f"    {_import(base, name)}\n" for name in _MEMBERS for base in bases[name][-1:])
    return f"{_HEAD}{body}else:\n{at_run_time}"


def _is_name(part: str) -> bool:
    return part.isidentifier() and not keyword.iskeyword(part)


def _aliases(classes: Iterable[str], *, taken: set[str]) -> dict[str, str]:
    """Give each class a name of its own in this module: mostly its own, and for the fifth `Context` one with its module in it."""
    names: dict[str, str] = {}
    for full in dict.fromkeys(classes):
        module, _, name = full.rpartition(".")
        if name in taken or name in names.values():
            name = "".join(part.title().replace("_", "") for part in module.split(".")) + name
        names[full] = name
    return names


def _imports(names: Mapping[str, str]) -> Iterator[str]:
    yield from sorted(_import(full, name) for full, name in names.items())
    yield ""


def _import(full: str, name: str) -> str:
    module, _, own = full.rpartition(".")
    return f"from {module} import {own} as {name}"


def _class(name: str, bases: Iterable[str], members: Iterable[tuple[str, str]]) -> Iterator[str]:
    listed = ", ".join(bases)
    yield f"class {name}({listed}):" if listed else f"class {name}:"
    lines = [f"    {member}: {kind}" for member, kind in members]
    yield from lines or ["    pass"]
    yield ""


def _namespace(name: str, classes: Mapping[str, str], names: Mapping[str, str]) -> Iterator[str]:
    """Yield a class whose attributes are instances of classes by their dotted names, after the classes of the directories below."""
    below: dict[str, dict[str, str]] = {}
    members: list[tuple[str, str]] = []
    for dotted, cls in classes.items():
        first, _, rest = dotted.partition(".")
        if rest:
            below.setdefault(first, {})[rest] = cls
        else:
            members.append((first, names[cls]))
    for first, inner in below.items():
        inner_name = f"{name}_{first}"
        yield from _namespace(inner_name, inner, names)
        members.append((first, inner_name))
    yield from _class(name, [], sorted(members))
