"""Configuration after it is loaded: nested, readable by key and by attribute, and never written again."""

from __future__ import annotations

from typing import Any, Final, NoReturn

import msgspec

from tamago.core.suggest import did_you_mean
from tamago.errors import TamagoError


class FrozenConfigError(TamagoError, TypeError):
    """Somebody writes to configuration that is in use."""

    def __init__(self, what: str) -> None:
        super().__init__(
            f"configuration cannot be changed any more: {what}",
            hint="change it in a file in config/, or in the hook `config_will_load` of app/boot.py; or work on a copy: dict(…), list(…)",
        )


class Config(dict[str, Any]):
    """A frozen part of configuration: `config["logger"]["level"]` is `config.logger.level`.

    A dict, so that libraries take it as one, but every way of writing raises `FrozenConfigError`. A key that is called like a method of
    dict (`items`, `keys`) is only reached as `config["items"]`. A copy, also by the copy module, is an ordinary dict.
    """

    def __init__(self, *values: Any, **more: Any) -> None:
        super().__init__(*values, **more)
        # Real attributes are read 30 times faster than by __getattr__, and handlers read configuration with each request.
        self.__dict__.update((key, value) for key, value in self.items() if isinstance(key, str) and not hasattr(dict, key))

    def __getattr__(self, name: str) -> Any:
        # Python asks for attributes that are not there, such as __array__: no need to look for what they resemble.
        close = "" if name.startswith("__") else did_you_mean(name, self)
        raise AttributeError(f"configuration has no {name!r}{close}")

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise FrozenConfigError(f".{name} = {type(value).__name__}")

    def __delattr__(self, name: str) -> NoReturn:
        raise FrozenConfigError(f"del .{name}")

    def __setitem__(self, key: str, value: object) -> NoReturn:
        raise FrozenConfigError(f"[{key!r}] = {type(value).__name__}")

    def __delitem__(self, key: str) -> NoReturn:
        raise FrozenConfigError(f"del [{key!r}]")

    def __ior__(self, other: object) -> NoReturn:  # type: ignore[misc]
        raise FrozenConfigError("|=")

    def __reduce__(self) -> tuple[type[dict[str, Any]], tuple[dict[str, Any]]]:
        # Copies and other processes get a dict, which may be changed.
        return dict, (dict(self),)

    def clear(self) -> NoReturn:
        raise FrozenConfigError("clear()")

    def pop(self, *_: object) -> NoReturn:
        raise FrozenConfigError("pop()")

    def popitem(self) -> NoReturn:
        raise FrozenConfigError("popitem()")

    def setdefault(self, *_: object) -> NoReturn:
        raise FrozenConfigError("setdefault()")

    def update(self, *_: object, **__: object) -> NoReturn:
        raise FrozenConfigError("update()")


class FrozenList(list[Any]):
    """A frozen list of configuration: equal to the same list, and every way of writing raises `FrozenConfigError`."""

    __slots__ = ()

    def __reduce__(self) -> tuple[type[list[Any]], tuple[list[Any]]]:
        return list, (list(self),)


_LIST_WRITES: Final = (
    "__delitem__", "__iadd__", "__imul__", "__setitem__", "append", "clear", "extend", "insert", "pop", "remove", "reverse", "sort",
)  # fmt: skip


def _refuse(name: str) -> Any:
    def write(_self: FrozenList, *_: object, **__: object) -> NoReturn:
        raise FrozenConfigError(f"{name} of a list")

    write.__name__ = name
    return write


for _name in _LIST_WRITES:
    setattr(FrozenList, _name, _refuse(_name))


def freeze(value: Any) -> Any:
    """Return `value` with all dicts, lists and sets in it frozen, also those inside of models. Other objects stay the same."""
    if isinstance(value, dict):
        return Config((key, freeze(item)) for key, item in value.items())
    if isinstance(value, list):
        return FrozenList(freeze(item) for item in value)
    if type(value) is tuple:
        return tuple(freeze(item) for item in value)
    if type(value) is set:
        return frozenset(value)
    if isinstance(value, msgspec.Struct):
        return _freeze_fields(value)
    return value


def _freeze_fields(struct: msgspec.Struct) -> msgspec.Struct:
    changed = {}
    for name in struct.__struct_fields__:
        before = getattr(struct, name)
        after = freeze(before)
        if after is not before:
            changed[name] = after
    return msgspec.structs.replace(struct, **changed) if changed else struct
