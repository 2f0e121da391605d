"""Classes by the names of their files: what `ctx.service`, the controllers and custom loaders are made from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Generic, TypeVar, Union

from tamago.core.called import constructor_problem
from tamago.core.finding import find_modules
from tamago.core.importing import import_found
from tamago.core.load_error import LoadError
from tamago.core.picking import pick
from tamago.core.scanning import FoundModule
from tamago.core.timing import Timing
from tamago.core.unit import LoadUnit

_T = TypeVar("_T")


class Tree(Mapping[str, Union[type[_T], "Tree[_T]"]], Generic[_T]):
    """A name is a class, or a directory's tree. Read-only; `tree["admin"]["user"]` is what `app/service/admin/user.py` defines."""

    __slots__ = ("_entries",)

    def __init__(self, entries: Mapping[str, type[_T] | Tree[_T]]) -> None:
        self._entries = dict(entries)

    @classmethod
    def grow(cls, classes: Mapping[tuple[str, ...], type[_T]]) -> Tree[_T]:
        """Make a tree of classes and the names of their files."""
        branches: dict[str, dict[tuple[str, ...], type[_T]]] = {}
        entries: dict[str, type[_T] | Tree[_T]] = {}
        for (first, *rest), value in classes.items():
            if rest:
                branches.setdefault(first, {})[tuple(rest)] = value
            else:
                entries[first] = value
        return cls(entries | {name: cls.grow(branch) for name, branch in branches.items()})

    def __getitem__(self, name: str) -> type[_T] | Tree[_T]:
        return self._entries[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __repr__(self) -> str:
        return f"<Tree {', '.join(self.flat())}>"

    def flat(self) -> dict[str, type[_T]]:
        """Return every class under its dotted name."""
        result: dict[str, type[_T]] = {}
        for name, entry in self._entries.items():
            if isinstance(entry, Tree):
                result |= {f"{name}.{below}": value for below, value in entry.flat().items()}
            else:
                result[name] = entry
        return result


def collect(units: Iterable[LoadUnit], name: str, base: type[_T], suffix: str, *, timing: Timing | None = None) -> Tree[_T]:
    """Import `app/<name>/**` of every unit and return the class of each file, as Egg's `loadToContext` does.

    Raises LoadError with all problems: illegal names, a name two units define, files without such a class, classes that cannot be made
    with a context; BrokenFileError and ForeignModuleError as `import_found` does.
    """
    return load_classes(find_modules(units, f"app/{name}"), base, suffix, timing=timing)


def load_classes(
    found: Iterable[FoundModule], base: type[_T], suffix: str, *, owner: str = "ctx", timing: Timing | None = None
) -> Tree[_T]:
    """Import what was found and return the class of each file, to be made with its `owner` alone: `ctx` or `app`."""
    classes: dict[tuple[str, ...], type[_T]] = {}
    errors: list[LoadError] = []
    for item in found:
        module = import_found(item, timing)
        try:
            cls = classes[item.name] = pick(module, base, suffix)
        except LoadError as error:
            errors.append(error)
            continue
        if problem := constructor_problem(cls, owner):
            errors.append(LoadError([problem], hint=f"it is made with {owner} and nothing else: write `def __init__(self, {owner})`"))
    if len(errors) == 1:
        raise errors[0]
    if errors:
        raise LoadError([problem for error in errors for problem in error.problems], hint=errors[0].hint)
    return Tree.grow(classes)
