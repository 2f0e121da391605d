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


def only_keeps_context(cls: type) -> bool:
    """Return whether `cls(ctx)` is nothing but `made = cls.__new__(cls)` and `made.ctx = ctx`.

    Then who makes one for each request may write these two, which takes half as long: a class finds its `__init__` anew at each call, and
    enters the interpreter once more for it.
    """
    return (
        issubclass(cls, ContextClass)
        and cls.__init__ is ContextClass.__init__
        and cls.__new__ is object.__new__
        and type(cls).__call__ is type.__call__
    )


class Service(ContextClass):
    """Base class of services: `class UserService(Service)` in `app/service/user.py` is `ctx.service.user`."""


class Controller(ContextClass):
    """Base class of controllers: `class PostController(Controller)` in `app/controller/post.py` is `post` in the router."""


class Helper(ContextClass):
    """What `ctx.helper` is, extended by `app/extend/helper.py`."""
