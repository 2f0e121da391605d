"""What comes in and goes out as JSON."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from msgspec import Meta, Struct

Title = Annotated[str, Meta(min_length=1, max_length=200)]
Text = Annotated[str, Meta(min_length=1, max_length=100_000)]


class NewPost(Struct, forbid_unknown_fields=True):
    title: Title
    body: Text


class Post(Struct):
    id: int
    title: str
    body: str
    published: datetime
    comments: int = 0


class NewComment(Struct, forbid_unknown_fields=True):
    author: Title
    text: Text


class Comment(Struct):
    id: int
    author: str
    text: str
