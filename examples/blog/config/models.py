"""The types of the parts of the configuration that are the application's own. They are checked once, at the start."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct


class BlogConfig(Struct, frozen=True, forbid_unknown_fields=True):
    title: str
    page_size: Annotated[int, Meta(ge=1, le=100)] = 10


models = {"blog": BlogConfig}
