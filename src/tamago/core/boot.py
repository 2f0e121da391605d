"""The hooks of an application's life."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable


class Boot:
    """Base class of `AppBoot` and `AgentBoot` in `app/boot.py`. Every hook is optional, and may be async but for the two around the fork.

    In order: the constructor, `before_fork`, `after_fork`, `config_will_load`, `config_did_load`, `did_load`, `will_ready`, `did_ready`,
    `server_did_ready`, `before_close`. The constructor runs once, before the fork and without configuration.
    """

    def __init__(self, app: Any) -> None:
        self.app = app

    @property
    def config(self) -> Any:
        """The configuration: nested dicts up to `config_did_load`, frozen and typed from `did_load` on."""
        return self.app.config

    @property
    def logger(self) -> Any:
        """The application's logger."""
        return self.app.logger

    def before_fork(self) -> None:
        """In the nest, before it forks: close what must not be shared."""

    def after_fork(self) -> None:
        """In each process just forked, before its event loop runs."""

    def config_will_load(self) -> Awaitable[None] | None:
        """All configuration files are merged: the last chance to change a value."""

    def config_did_load(self) -> Awaitable[None] | None:
        """Every `config_will_load` is through; configuration is frozen after this."""

    def did_load(self) -> Awaitable[None] | None:
        """All files are loaded: start what the application needs. All units at once."""

    def will_ready(self) -> Awaitable[None] | None:
        """Every `did_load` is through: warm up. All units at once."""

    def did_ready(self, error: BaseException | None) -> Awaitable[None] | None:
        """The process is ready, or failed with `error`."""

    def server_did_ready(self) -> Awaitable[None] | None:
        """The whole cluster serves. Once in each process."""

    def before_close(self) -> Awaitable[None] | None:
        """The process is about to end. In reverse order of the units."""
