"""Custom loaders: `config.custom_loader` gives further directories of classes a place on the application or the context.

```python
config = {"custom_loader": {"repository": {"directory": "app/repository", "inject": "ctx"}}}
```
makes `app/repository/post.py` available as `ctx.repository.post`. The directories are known once configuration is, so these files are
imported in each process and not in the nest.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

import msgspec

from tamago.core.finding import find_modules
from tamago.core.load_error import LoadError
from tamago.core.namespace import provide
from tamago.core.naming import RULE, class_name, instance_key, is_legal
from tamago.core.timing import Timing
from tamago.core.tree import Tree, load_classes
from tamago.core.unit import LoadUnit, UnitKind


class Inject(Enum):
    """What the classes are made with, and where they are found."""

    APP = "app"  # once, with the application: `app.repository.post`
    CTX = "ctx"  # once for each context, with it: `ctx.repository.post`


class CustomLoader(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One entry of `config.custom_loader`. `directory` is relative to the unit; `loadunit` looks into plugins and frameworks as well."""

    directory: str
    inject: Inject = Inject.APP
    loadunit: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomTree:
    """What a custom loader found."""

    name: str
    inject: Inject
    tree: Tree[Any]


def read_custom_loaders(config: Mapping[str, Any], app: object, context: type) -> dict[str, CustomLoader]:
    """Check `config.custom_loader`. Raises LoadError with all problems: bad entries, and names that `app` or `context` already has."""
    loaders: dict[str, CustomLoader] = {}
    problems: list[str] = []
    for name, entry in config.items():
        try:
            loader = entry if isinstance(entry, CustomLoader) else msgspec.convert(dict(entry), CustomLoader)
        except (msgspec.ValidationError, TypeError, ValueError) as error:
            problems.append(f"custom_loader.{name}: {error}")
            continue
        loaders[name] = loader
        problems += (f"custom_loader.{name}: {problem}" for problem in _problems(name, loader, app, context))
    if problems:
        raise LoadError(problems, hint='write it as {"repository": {"directory": "app/repository", "inject": "ctx"}}')
    return loaders


def load_custom(loaders: Mapping[str, CustomLoader], units: Iterable[LoadUnit], *, timing: Timing | None = None) -> list[CustomTree]:
    """Import the files of every loader. Of several classes in a file, the one called `PostRepository` counts.

    Raises LoadError for a directory that the application does not have; with `loadunit` any unit may lack it, and all.
    """
    units = tuple(units)
    own = [unit for unit in units if unit.kind is UnitKind.APP]
    if problems := [problem for name, loader in loaders.items() if not loader.loadunit for problem in _missing(name, loader, own)]:
        raise LoadError(problems, hint='correct the path, or make the directory; with "loadunit": True it may be missing')
    trees = []
    for name, loader in loaders.items():
        found = find_modules(units if loader.loadunit else own, loader.directory)
        tree = load_classes(found, object, class_name(name), owner=loader.inject.value, timing=timing)
        trees.append(CustomTree(name=name, inject=loader.inject, tree=tree))
    return trees


def install(trees: Iterable[CustomTree], app: object, context: type) -> None:
    """Put what was loaded in its place: on the classes of `app`, which must be its own, and `context`.

    Classes of the application are instantiated now, so that one that cannot be fails the start; those of a context when first asked for.
    """
    trees = tuple(trees)
    for custom in trees:
        provide(context if custom.inject is Inject.CTX else type(app), custom.tree, custom.name)
    for custom in trees:
        if custom.inject is Inject.APP:
            for name in custom.tree.flat():
                getattr(app, instance_key(custom.name, name))


def _missing(name: str, loader: CustomLoader, own: Iterable[LoadUnit]) -> Iterator[str]:
    for unit in own:
        place = unit.directory / loader.directory
        if not place.is_dir():
            yield f"custom_loader.{name}: there is no directory {place}"


def _problems(name: str, loader: CustomLoader, app: object, context: type) -> Iterator[str]:
    if not is_legal(name):
        yield f"{name!r} is not a legal name; {RULE}"
    if not all(is_legal(segment) for segment in loader.directory.split("/")):
        yield f"directory {loader.directory!r} is not a relative path of legal names"
    if hasattr(app if loader.inject is Inject.APP else context, name):
        yield f"it would hide {loader.inject.value}.{name}"
