"""Types that handlers of the tests ask for."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from enum import Enum
from typing import Annotated, TypedDict

import msgspec
from msgspec import Meta

SMALL = Annotated[int, Meta(ge=1, le=9)]


class Color(Enum):
    RED = "red"
    BLUE = "blue"


class Author(msgspec.Struct):
    name: Annotated[str, Meta(min_length=1)]
    age: int = 0


class Post(msgspec.Struct):
    title: str
    author: Author
    tags: list[str] = []
    day: dt.date | None = None


class Page(msgspec.Struct):
    number: int = 1
    size: Annotated[int, Meta(le=100)] = 20
    sort: list[str] = []


@dataclass
class Point:
    x: int
    y: int = 0


class Login(TypedDict):
    user: str
    password: Annotated[str, Meta(min_length=8)]
