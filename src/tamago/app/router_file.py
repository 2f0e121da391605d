"""Finds `app/router.py`, and refuses one that would register nothing."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator

from tamago.app.routing import Router
from tamago.core.called import place_of
from tamago.core.importing import import_found
from tamago.core.load_error import LoadError
from tamago.core.scanning import FoundModule
from tamago.core.timing import Timing
from tamago.core.unit import LoadUnit


def check_foreign_routes(units: Iterable[LoadUnit]) -> None:
    """Refuse a router or controllers of a plugin or framework, which nothing would read. Raises LoadError with all of them."""
    foreign = (unit.directory / "app" / name for unit in units for name in ("router.py", "controller"))
    problems = [f"{path} is not read: routes and controllers are the application's" for path in foreign if path.exists()]
    if problems:
        raise LoadError(problems, hint="register routes by self.app.router in the constructor of its boot class, and remove this")


def router_files(units: Iterable[LoadUnit]) -> Iterator[FoundModule]:
    """Yield `app/router.py`. Only the application has one."""
    for unit in units:
        path = unit.directory / "app" / "router.py"
        if path.is_file():
            yield FoundModule(name=("router",), module=unit.module_name("app.router"), path=path)


def import_router(found: FoundModule, timing: Timing) -> Callable[[Router], object]:
    """Import `app/router.py` and return its `routes`. Raises LoadError for a file that could register nothing."""
    routes = getattr(import_found(found, timing), "routes", None)
    if inspect.iscoroutinefunction(routes):
        raise LoadError(
            [f"`routes` is async in {found.path}"], hint="write `def routes(router):`; what must be awaited belongs in a boot class"
        )
    if not callable(routes):
        raise LoadError([f"{found.path} defines no function `routes`"], hint="write `def routes(router):` there, or remove the file")
    try:
        inspect.signature(routes).bind("router")
    except TypeError as error:
        raise LoadError(
            [f"`routes` in {place_of(routes) or found.path} does not take (router): {error}"], hint="write `def routes(router):`"
        ) from None
    registers: Callable[[Router], object] = routes
    return registers
