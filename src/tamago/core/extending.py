"""Extends: what plugins, frameworks and the application add to Application, Agent, Context, Request, Response and Helper.

Egg copies properties onto prototypes. Here each file defines a class, and one class is composed of them all, so that `super()`, types and
the debugger see what is there.
"""

from __future__ import annotations

import inspect
import types
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, TypeVar, cast

from tamago.core.called import constructor_problem, is_ours
from tamago.core.importing import import_found
from tamago.core.load_error import LoadError
from tamago.core.naming import class_name
from tamago.core.scanning import FoundModule, scan
from tamago.core.suggest import which_one
from tamago.core.timing import Timing
from tamago.core.unit import LoadUnit

EXTENDABLE: Final = ("application", "agent", "context", "request", "response", "helper")
_DIRECTORY: Final = "app/extend"
_T = TypeVar("_T")


class ComposeError(LoadError):
    """The extends of a class do not fit together."""

    def __init__(self, name: str, classes: Sequence[type], reason: str) -> None:
        listed = ", ".join(f"{cls.__qualname__} ({_file(cls)})" for cls in classes)
        super().__init__([f"the extends of {name} cannot be combined: {reason}: {listed}"], hint=_COMPOSE_HINT)
        self.classes = tuple(classes)


_COMPOSE_HINT: Final = "let each be a plain mixin or a direct subclass of the base, without `__slots__` and without a metaclass"


def find_extends(units: Iterable[LoadUnit], kind: str, env: str, *, timing: Timing | None = None) -> list[type]:
    """Import `app/extend/<kind>.py` of every unit, then `<kind>_<env>.py` of every unit, and return their classes in this order.

    The class is called like the kind: `Context` in `context.py`. Raises LoadError with every file that does not define it.
    """
    wanted = class_name(kind)
    extends: list[type] = []
    problems: list[str] = []
    for found in _files(units, kind, env):
        module = import_found(found, timing)
        extend = vars(module).get(wanted)
        if isinstance(extend, type) and extend.__module__ == module.__name__:
            extends.append(extend)
        else:
            problems.append(f"{found.path} does not define a class {wanted}")
    if problems:
        raise LoadError(problems, hint=f"write `class {wanted}:` there, a mixin or a subclass of the {kind} it extends")
    return extends


def check_extend_files(units: Iterable[LoadUnit]) -> None:
    """Refuse files in `app/extend` that extend nothing, such as `contexts.py`, and directories, which nothing reads."""
    problems = []
    for unit in units:
        for found in scan(unit.directory / _DIRECTORY, unit.module_name("app.extend")):
            kind = found.name[0].partition("_")[0]
            if len(found.name) > 1 or kind not in EXTENDABLE:
                problems.append(f"{found.path} extends nothing; {which_one(kind, EXTENDABLE)}")
    if problems:
        raise LoadError(problems, hint="an extend is called `context.py`, or `context_prod.py` for one environment")


def compose(name: str, base: type[_T], extends: Sequence[type], attributes: Mapping[str, Any] | None = None) -> type[_T]:
    """Return a new subclass of `base` with all `extends`, of which later ones win; `attributes` win over all.

    An extend is a subclass of `base` or a mixin. Raises ComposeError when Python cannot order or lay out the classes, LoadError when
    the constructor of one does not take what `base` is made with.
    """
    bases = [cls for cls in dict.fromkeys(reversed(extends)) if cls is not base]
    for cls in bases:
        if issubclass(base, cls):
            raise ComposeError(name, [cls], f"{cls.__qualname__} is a base of {base.__qualname__} already")
        if other := _other_than(base, cls):
            raise ComposeError(name, [cls], f"it derives from {other.__module__}.{other.__qualname__}, and not from {base.__qualname__}")
    body = {"__module__": base.__module__, "__doc__": inspect.getdoc(base), **(attributes or {})}
    try:
        composed = cast("type[_T]", types.new_class(name, (*bases, base), exec_body=lambda scope: scope.update(body)))
    except TypeError as error:
        raise ComposeError(name, bases, " ".join(str(error).split()).partition(" for bases")[0]) from None
    given = [name for name, parameter in inspect.signature(base).parameters.items() if parameter.kind is parameter.POSITIONAL_OR_KEYWORD]
    if problem := constructor_problem(composed, *given):
        raise LoadError([problem], hint=f"an extend with a constructor of its own takes what that of {name} takes: {', '.join(given)}")
    return composed


def _other_than(base: type, cls: type) -> type | None:
    """Return a class of the framework that an extend derives from although `base` does not.

    It would give that class's members to `base`: those of the `Response` that a handler returns to `ctx.response`, say.
    """
    return next((parent for parent in cls.__bases__ if is_ours(parent) and not issubclass(base, parent)), None)


def _files(units: Iterable[LoadUnit], kind: str, env: str) -> Iterator[FoundModule]:
    units = tuple(units)
    for stem in (kind, f"{kind}_{env}"):
        for unit in units:
            path = unit.directory / _DIRECTORY / f"{stem}.py"
            if path.is_file():
                yield FoundModule(name=(stem,), module=unit.module_name(f"app.extend.{stem}"), path=path)


def _file(cls: type) -> str:
    try:
        return inspect.getfile(cls)
    except (OSError, TypeError):
        return cls.__module__
