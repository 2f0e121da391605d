"""A whole answer as one value, for handlers that return what they answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tamago.app.header_values import HeaderValue

if TYPE_CHECKING:
    from tamago.app.context import Context


@dataclass(frozen=True, slots=True)
class Response:
    """A body with a status and header fields.

    `body` is anything that `ctx.body` takes. `status` None: what goes with the body. `type` is a media type or a short one, as `ctx.type`.
    """

    body: Any = None
    status: int | None = None
    headers: Mapping[str, HeaderValue] = field(default_factory=dict)
    type: str = ""

    def apply(self, ctx: Context) -> None:
        """Set all of it on a context."""
        ctx.body = self.body
        if self.status is not None:
            ctx.status = self.status
        for name, value in self.headers.items():
            ctx.set(name, value)
        if self.type:
            ctx.type = self.type
