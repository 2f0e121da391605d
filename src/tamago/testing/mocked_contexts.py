"""Contexts for tests of what needs one: services, helpers, middleware. Egg's `mockContext`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tamago.app.current import current

if TYPE_CHECKING:
    from tamago.app import Application, Context


class ContextMaker:
    """What the fixture `mock_context` is."""

    def __init__(self, app: Application) -> None:
        self._app = app

    def __call__(
        self, *, method: str = "GET", url: str = "/", headers: Mapping[str, str] | None = None, body: bytes = b"", **attributes: Any
    ) -> Context:
        """Return a context of a request that nobody made, with `attributes` set on it (`state={"user": 7}`, `ip="10.0.0.1"`).

        It is `app.current_context` until the next one is made or the test ends.
        """
        ctx = self._app.create_anonymous_context(method=method, url=url, headers=headers, body=body)
        # In its dictionary, where what is made lazily is kept: also what has no setter, such as `ip`, can be said.
        vars(ctx).update(attributes)
        current.set(ctx)
        return ctx

    def restore(self) -> None:
        """Have no context be the current one."""
        current.set(None)
