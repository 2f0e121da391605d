"""Services for those who ask by annotation: `posts: PostService` in the body of a controller or service.

Nothing is made before it is used, and it is the same object as `ctx.service.post`, since both are one attribute of the context.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterable, Iterator
from operator import attrgetter
from typing import Any

from tamago.app.binding.annotations import Unresolved, resolve
from tamago.app.binding.errors import InjectionError
from tamago.app.binding.service_index import ServiceIndex, is_interface, named
from tamago.core.context_class import ContextClass, Service
from tamago.core.suggest import SURELY, close_match

_NOTHING = object()


class Injected(property):
    """The attribute: another name for one of the context's. Read and written without a step in Python."""

    def __init__(self, service: type[Service], key: str) -> None:
        def replace(instance: ContextClass, value: object) -> None:
            setattr(instance.ctx, key, value)

        super().__init__(attrgetter(f"ctx.{key}"), replace)
        self.service = service


def inject(components: Iterable[type[ContextClass]], services: ServiceIndex) -> None:
    """Give the services, and `components` (controllers, say), what their annotations ask for.

    A class asks with an annotation that has no value and is the class of a service, or a Protocol or abstract class that exactly one
    service implements. Raises InjectionError with all that cannot be resolved, and with cycles: services that need each other.
    """
    problems: list[str] = []
    needs: dict[type, dict[str, type[Service]]] = {}
    for cls in dict.fromkeys([*services.classes, *components]):
        needs[cls] = {}
        for name, annotation in _asked(cls, services):
            try:
                service = _resolve(cls, annotation, services)
                if service is not None:
                    setattr(cls, name, Injected(service, services.path_of(service)))
                    needs[cls][name] = service
            except InjectionError as error:
                problems.extend(f"{named(cls)}.{name}: {problem}" for problem in error.problems)
    graph = {cls: list(asked.values()) for cls, asked in needs.items()}
    problems.extend(f"cycle: {' → '.join(cls.__qualname__ for cls in cycle)}" for cycle in cycles(graph))
    if problems:
        raise InjectionError(problems)


def _asked(cls: type[ContextClass], services: ServiceIndex) -> Iterator[tuple[str, Any]]:
    """Yield the annotated attributes that have no value, inherited ones too, the nearest class's first."""
    seen = set(dir(ContextClass))
    for base in cls.__mro__:
        module = sys.modules.get(base.__module__)
        names = vars(module) if module is not None else {}
        for name, written in inspect.get_annotations(base).items():
            value = inspect.getattr_static(cls, name, _NOTHING)
            if name not in seen and (value is _NOTHING or isinstance(value, Injected)):
                seen.add(name)
                yield name, resolve(written, names, services.names)


def _resolve(cls: type, annotation: Any, services: ServiceIndex) -> type[Service] | None:
    """Return the service that is meant, None for an annotation of something else."""
    if isinstance(annotation, type) and issubclass(annotation, Service) and not is_interface(annotation):
        services.path_of(annotation)
        return annotation
    if isinstance(annotation, Unresolved) and (meant := close_match(annotation.text, services.names, cutoff=SURELY)):
        raise InjectionError([f"{annotation.text} does not exist: did you mean {meant}?"])
    if not is_interface(annotation):
        return None
    found = services.implementations(annotation)
    if len(found) == 1:
        return found[0]
    if cls.__init__ is not ContextClass.__init__:  # type: ignore[misc]
        return None  # it sees to it itself
    listed = f"{len(found)} services do: {', '.join(map(named, found))}" if found else "no service does"
    raise InjectionError([f"exactly one service has to implement {named(annotation)}, and {listed}"])


def cycles(graph: dict[type, list[type]]) -> list[list[type]]:
    """Return the cycles that a walk along the graph meets, each beginning and ending with the same class."""
    found: list[list[type]] = []
    done: set[type] = set()

    def walk(node: type, path: list[type]) -> None:
        if node in path:
            found.append([*path[path.index(node) :], node])
        elif node not in done:
            for needed in graph.get(node, ()):
                walk(needed, [*path, node])
            done.add(node)

    for node in graph:
        walk(node, [])
    return found
