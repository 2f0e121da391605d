"""What can carry a value of a type: a piece of text, several pieces, or a document. Pure; types are seen as msgspec sees them."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from typing import Any

import msgspec
from msgspec import inspect


class Shape(Enum):
    """How a value of a type travels."""

    TEXT = "text"  # one piece of text: a path segment, a query value
    TEXTS = "texts"  # several: a repeated query key
    OBJECT = "object"  # fields: JSON or a form
    DOCUMENT = "document"  # only JSON can say it
    RAW = "raw"  # bytes as they are


_TEXT = (
    inspect.NoneType,
    inspect.BoolType,
    inspect.IntType,
    inspect.FloatType,
    inspect.StrType,
    inspect.DateTimeType,
    inspect.TimeType,
    inspect.DateType,
    inspect.TimeDeltaType,
    inspect.UUIDType,
    inspect.DecimalType,
    inspect.EnumType,
    inspect.LiteralType,
)
_RAW = (inspect.BytesType, inspect.ByteArrayType, inspect.MemoryViewType)
_OBJECT = (inspect.StructType, inspect.DataclassType, inspect.TypedDictType, inspect.DictType)
_COLLECTION = (inspect.ListType, inspect.SetType, inspect.FrozenSetType, inspect.VarTupleType)

ObjectType = inspect.StructType | inspect.DataclassType | inspect.TypedDictType


def shape_of(info: inspect.Type) -> Shape:
    """Return how a value of this type travels."""
    info = plain(info)
    if isinstance(info, inspect.UnionType):
        shapes = {shape_of(member) for member in info.types if not isinstance(member, inspect.NoneType)}
        return shapes.pop() if len(shapes) == 1 else Shape.DOCUMENT
    if isinstance(info, _TEXT):
        return Shape.TEXT
    if isinstance(info, _RAW):
        return Shape.RAW
    if isinstance(info, _OBJECT):
        return Shape.OBJECT
    if isinstance(info, _COLLECTION) and shape_of(info.item_type) is Shape.TEXT:
        return Shape.TEXTS
    return Shape.DOCUMENT


def takes_text_as_it_is(info: inspect.Type) -> bool:
    """Return whether any text is already a value of this type."""
    info = plain(info)
    if isinstance(info, inspect.UnionType):
        return any(takes_text_as_it_is(member) for member in info.types) and shape_of(info) is Shape.TEXT
    return isinstance(info, inspect.AnyType) or info == inspect.StrType()


def is_plain_int(info: inspect.Type) -> bool:
    """Return whether every int is a value of this type, and nothing else."""
    return info == inspect.IntType()


def object_of(info: inspect.Type) -> ObjectType | None:
    """Return the struct, dataclass or TypedDict this type is, or is together with None."""
    info = plain(info)
    if isinstance(info, inspect.UnionType):
        members = [member for member in info.types if not isinstance(member, inspect.NoneType)]
        return object_of(members[0]) if len(members) == 1 else None
    return info if isinstance(info, ObjectType) else None


def plain(info: inspect.Type) -> inspect.Type:
    """Return the type below its metadata."""
    while isinstance(info, inspect.Metadata):
        info = info.type
    return info


def foreign_types(info: inspect.Type) -> Iterator[type]:
    """Yield the classes, however deep, of which msgspec cannot make a value."""
    waiting: list[Any] = [info]
    seen: set[int] = set()
    while waiting:
        node = waiting.pop()
        if isinstance(node, tuple):
            waiting.extend(node)
        elif isinstance(node, inspect.CustomType):
            yield node.cls
        elif isinstance(node, (inspect.Type, inspect.Field)) and id(node) not in seen:
            seen.add(id(node))
            waiting.extend(msgspec.structs.asdict(node).values())
