"""Which services there are, and under which name each is reached from a context."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any, Generic, Protocol

from tamago.app.binding.errors import InjectionError
from tamago.core.context_class import Service
from tamago.core.naming import instance_key


class _Empty(Protocol):
    """What every Protocol has of its own."""


class ServiceIndex:
    """The application's services by class. Made from dotted name → class, as in `ctx.service.admin.user`."""

    def __init__(self, services: Mapping[str, type[Service]]) -> None:
        self.by_name: Mapping[str, type[Service]] = services
        """The services by their dotted names."""
        self._paths = {cls: instance_key("service", name) for name, cls in services.items()}
        by_class_name: dict[str, list[type[Service]]] = {}
        for cls in self._paths:
            by_class_name.setdefault(cls.__name__, []).append(cls)
        self.names: Mapping[str, Any] = {name: classes[0] for name, classes in by_class_name.items() if len(classes) == 1}
        """What a class's name means where its import is only for the type checker. Without names that several services have."""

    @property
    def classes(self) -> tuple[type[Service], ...]:
        return tuple(self._paths)

    def path_of(self, cls: type) -> str:
        """Return the attribute of a context that is its instance of `cls`. Raises InjectionError if there is none."""
        path = self._paths.get(cls)
        if path is None:
            raise InjectionError([f"{named(cls)} is no service of this application: nothing in app/service defines it"])
        return path

    def implementations(self, interface: type) -> list[type[Service]]:
        """Return the services that implement a Protocol or an abstract class."""
        if is_protocol(interface):
            members = protocol_members(interface)
            return [cls for cls in self._paths if all(_has(cls, member) for member in members)]
        return [cls for cls in self._paths if issubclass(cls, interface)]


def named(cls: type) -> str:
    """Return a class's name with its module, as it would be imported."""
    return f"{cls.__module__}.{cls.__qualname__}"


def is_interface(cls: Any) -> bool:
    """Return whether something else has to implement `cls`."""
    return isinstance(cls, type) and (is_protocol(cls) or inspect.isabstract(cls))


def is_protocol(cls: type) -> bool:
    """Return whether `cls` is a Protocol itself, not a class that implements one."""
    return bool(getattr(cls, "_is_protocol", False)) and cls is not Protocol


def protocol_members(protocol: type) -> set[str]:
    """Return the names a class must have to implement `protocol` (`typing.get_protocol_members` came with 3.13)."""
    members: set[str] = set()
    for cls in protocol.__mro__:
        if is_protocol(cls) and cls is not Generic:
            members |= vars(cls).keys() | getattr(cls, "__annotations__", {}).keys()
    return {name for name in members - vars(_Empty).keys() - set(dir(_Empty)) if not name.startswith("_abc_")}


def _has(cls: type, member: str) -> bool:
    return hasattr(cls, member) or any(member in getattr(base, "__annotations__", {}) for base in cls.__mro__)
