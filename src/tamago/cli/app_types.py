"""What an application's classes are composed of, as names that can be imported."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

_NOTHING: Final = "builtins.object"


@dataclass(frozen=True, slots=True, kw_only=True)
class AppTypes:
    """`bases` has for "Context" and the like the classes it is made of, what wins first; all classes are named with their module.

    `services` maps dotted names to classes, `config` parts to models.
    """

    bases: dict[str, tuple[str, ...]]
    services: dict[str, str] = field(default_factory=dict)
    config: dict[str, str] = field(default_factory=dict)


def app_types(application: Any, agent: Any) -> AppTypes:
    """Look at a loaded application and its agent."""
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
    )


def name_of(cls: type) -> str:
    """Return a class as `module.Name`."""
    return f"{cls.__module__}.{cls.__qualname__}"


def _names(classes: Iterable[type]) -> Iterable[str]:
    return (name for name in map(name_of, classes) if name != _NOTHING)
