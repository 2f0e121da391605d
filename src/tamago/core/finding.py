"""Finds the modules of one kind (services, middleware, controllers) over all load units, each under one name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from tamago.core.load_error import LoadError
from tamago.core.scanning import FoundModule, scan
from tamago.core.unit import LoadUnit


def find_modules(units: Iterable[LoadUnit], directory: str, *, override: bool = False) -> list[FoundModule]:
    """Return the modules in `directory` (such as "app/service") of every unit.

    With `override` a later unit's file takes the place of an earlier one's of the same name, as middleware does in Egg; without it two
    files for one name are a LoadError that names both, as for services.
    """
    found: dict[tuple[str, ...], FoundModule] = {}
    problems: list[str] = []
    kind = directory.rpartition("/")[2]
    for unit in units:
        for module in scan(unit.directory / directory, unit.module_name(directory.replace("/", "."))):
            earlier = found.get(module.name)
            if earlier is not None and not override:
                problems.append(f"`{kind}.{'.'.join(module.name)}` is defined twice: in {earlier.path} and in {module.path}")
            else:
                found[module.name] = module
    problems += _both_leaf_and_branch(found, kind)
    if problems:
        raise LoadError(problems, hint="rename one of the two; to change what a plugin brings, subclass it under a name of your own")
    return sorted(found.values(), key=lambda module: module.name)


def _both_leaf_and_branch(found: Mapping[tuple[str, ...], FoundModule], kind: str) -> Iterator[str]:
    for name, module in found.items():
        for above in _prefixes(name):
            if above in found:
                yield f"`{kind}.{'.'.join(above)}` cannot be both: {found[above].path} defines it and {module.path} stands below it"


def _prefixes(name: Sequence[str]) -> Iterator[tuple[str, ...]]:
    return (tuple(name[:depth]) for depth in range(1, len(name)))
