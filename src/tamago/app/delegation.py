"""Attributes of a context that are those of its request or its response."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, Self, TypeVar, cast, overload

if TYPE_CHECKING:
    from tamago.app.context import Context

Value = TypeVar("Value")


class _Delegated(Generic[Value]):
    """An attribute of a view. `kind` says its type to type checkers, and nothing else."""

    view = ""

    def __init__(self, kind: type[Value]) -> None:
        self.kind = kind
        self.name = ""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name
        self.__doc__ = f"The {self.view}'s `{name}`."

    @overload
    def __get__(self, instance: None, owner: type) -> Self: ...
    @overload
    def __get__(self, instance: Context, owner: type) -> Value: ...
    def __get__(self, instance: Context | None, owner: type) -> Self | Value:
        return self if instance is None else cast("Value", getattr(getattr(instance, self.view), self.name))


class OfRequest(_Delegated[Value]):
    """Read from `ctx.request`."""

    view = "request"


class OfResponse(_Delegated[Value]):
    """Read from and written to `ctx.response`."""

    view = "response"

    def __set__(self, instance: Context, value: Value) -> None:
        setattr(instance.response, self.name, value)
