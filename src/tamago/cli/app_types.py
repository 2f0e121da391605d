"""What an application's classes are composed of, as names that can be imported."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from tamago.core.custom_loader import CustomTree

_NOTHING: Final = "builtins.object"


@dataclass(frozen=True, slots=True, kw_only=True)
class AppTypes:
    """`bases` has for "Context" and the like the classes it is made of, what wins first; all classes are named with their module.

    `services` maps dotted names to classes, `config` parts to models. `custom` has for "Application" and "Context" what custom loaders put
    there: attributes with dotted names and classes.
    """

    bases: dict[str, tuple[str, ...]]
    services: dict[str, str] = field(default_factory=dict)
    config: dict[str, str] = field(default_factory=dict)
    custom: dict[str, dict[str, dict[str, str]]] = field(default_factory=dict)


def app_types(application: Any, agent: Any, custom: Iterable[CustomTree] = ()) -> AppTypes:
    """Look at a loaded application and its agent, and at what its custom loaders found."""
    composed = {
        "Application": type(application),
        "Agent": type(agent),
        "Context": application.context_class,
        "Helper": application.helper_class,
        "RequestView": application.request_class,
        "ResponseView": application.response_class,
    }
    services = {name: name_of(cls) for name, cls in application.service_index.by_name.items()}
    return AppTypes(
        bases={name: tuple(_names(cls.__bases__)) for name, cls in composed.items()},
        services=dict(sorted(services.items())),
        config={part: name_of(model) for part, model in sorted(application.loaded.models.items())},
        custom=_by_owner(custom),
    )


def _by_owner(trees: Iterable[CustomTree]) -> dict[str, dict[str, dict[str, str]]]:
    found: dict[str, dict[str, dict[str, str]]] = {}
    for custom in sorted(trees, key=lambda custom: custom.name):
        owner = {"app": "Application", "ctx": "Context"}[custom.inject.value]
        found.setdefault(owner, {})[custom.name] = {name: name_of(cls) for name, cls in sorted(custom.tree.flat().items())}
    return found


def name_of(cls: type) -> str:
    """Return a class as `module.Name`."""
    return f"{cls.__module__}.{cls.__qualname__}"


def _names(classes: Iterable[type]) -> Iterable[str]:
    return (name for name in map(name_of, classes) if name != _NOTHING)
