"""Finds the boot classes of every unit, and refuses hooks that would never be called as they are written."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator
from types import ModuleType
from typing import Any, Final

from tamago.core.boot import Boot
from tamago.core.importing import import_found
from tamago.core.load_error import LoadError
from tamago.core.naming import snake_case
from tamago.core.scanning import FoundModule
from tamago.core.suggest import SURELY, close_match
from tamago.core.timing import Timing
from tamago.core.unit import LoadUnit

NAMES: Final = ("AppBoot", "AgentBoot")
HOOKS: Final = tuple(name for name, value in vars(Boot).items() if inspect.isfunction(value) and not name.startswith("_"))
_SYNC: Final = frozenset({"before_fork", "after_fork"})


def find_boots(units: Iterable[LoadUnit], name: str, *, timing: Timing | None = None) -> list[tuple[str, type[Boot]]]:
    """Import `app/boot.py` of every unit and return its class `name` ("AppBoot" or "AgentBoot") with the file's short name.

    A file may define one of the two or both. Raises LoadError with all problems: neither is defined, one is no Boot or is not made from
    an app alone, a hook is misspelt, takes the wrong arguments, is a generator or must not be async.
    """
    boots: list[tuple[str, type[Boot]]] = []
    problems: list[str] = []
    for unit in units:
        path = unit.directory / "app" / "boot.py"
        if not path.is_file():
            continue
        found = FoundModule(name=("boot",), module=unit.module_name("app.boot"), path=path)
        module = import_found(found, timing)
        problems += _problems(module)
        if name in vars(module):
            boots.append((f"{found.module.replace('.', '/')}.py", vars(module)[name]))
    if problems:
        raise LoadError(problems, hint=f"the hooks are {', '.join(HOOKS)}; other methods of a boot class begin with `_`")
    return boots


def _problems(module: ModuleType) -> Iterator[str]:
    defined = [vars(module)[name] for name in NAMES if name in vars(module)]
    if not defined:
        yield f"{module.__file__} defines neither {' nor '.join(NAMES)}"
    for boot in dict.fromkeys(defined):
        if isinstance(boot, type) and issubclass(boot, Boot):
            yield from (f"{module.__file__}: {problem}" for problem in _wrong_hooks(boot))
        else:
            yield f"{module.__file__}: {getattr(boot, '__name__', boot)} is not a subclass of Boot"


def _wrong_hooks(boot: type[Boot]) -> Iterator[str]:
    if not _takes(boot, ("app",)):
        yield f"{boot.__name__}.__init__ must be `def __init__(self, app)`"
    for name in dir(boot):
        value = getattr(boot, name)
        if name.startswith("_") or not callable(value):
            continue
        if problem := _wrong_hook(name, value) if name in HOOKS else _like_a_hook(name):
            yield f"{boot.__name__}.{name} {problem}"


def _wrong_hook(name: str, value: Any) -> str:
    """Return what is wrong with a hook, "" for nothing."""
    if name in _SYNC and inspect.iscoroutinefunction(value):
        return "is async, and no event loop runs around the fork"
    if inspect.isgeneratorfunction(value) or inspect.isasyncgenfunction(value):
        return "is a generator, of which nothing would run: take out `yield`"
    parameters = ("self", "error") if name == "did_ready" else ("self",)
    return "" if _takes(value, parameters) else f"must be `def {name}({', '.join(parameters)})`"


def _like_a_hook(name: str) -> str:
    """Return what is wrong with a method that may have been meant as a hook, "" for any other."""
    alike = close_match(snake_case(name), HOOKS, cutoff=SURELY)
    return f"is no hook; did you mean `{alike}`?" if alike else ""


def _takes(function: Any, arguments: Iterable[str]) -> bool:
    try:
        inspect.signature(function).bind(*arguments)
    except TypeError:
        return False
    return True
