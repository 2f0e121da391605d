"""Base classes of what belongs to one context (one request, or one anonymous context). Egg's `BaseContextClass`."""

from __future__ import annotations

from typing import Any


class ContextClass:
    """`ctx` and, through it, what a controller, service or helper works with. Made once for each context that asks for it."""

    def __init__(self, ctx: Any) -> None:
        self.ctx = ctx

    @property
    def app(self) -> Any:
        """The application, or the agent."""
        return self.ctx.app

    @property
    def config(self) -> Any:
        """The application's configuration."""
        return self.ctx.app.config

    @property
    def service(self) -> Any:
        """The context's other services."""
        return self.ctx.service

    @property
    def logger(self) -> Any:
        """The context's logger."""
        return self.ctx.logger


class Service(ContextClass):
    """Base class of services: `class UserService(Service)` in `app/service/user.py` is `ctx.service.user`."""


class Controller(ContextClass):
    """Base class of controllers: `class PostController(Controller)` in `app/controller/post.py` is `post` in the router."""


class Helper(ContextClass):
    """What `ctx.helper` is, extended by `app/extend/helper.py`."""
