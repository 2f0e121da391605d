"""Puts the plugin's answers in the place of the application's own."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from tamago.core.boot import Boot
from tamago.core.redact import redact
from tamago.plugins.onerror.answer_format import Format, choose
from tamago.plugins.onerror.frames import kind_of, message_of
from tamago.plugins.onerror.options import OnerrorConfig
from tamago.plugins.onerror.problem import problem_of
from tamago.plugins.onerror.render import About, render_error
from tamago.plugins.onerror.request_facts import facts_of
from tamago.user_traceback import exc_info


class AppBoot(Boot):
    """Answers every error of a request, and logs it."""

    def did_load(self) -> None:
        """Take over `app.on_error`."""
        self.app.on_error = OnError(self.app)


class OnError:
    """What `app.on_error` becomes."""

    def __init__(self, app: Any) -> None:
        options: OnerrorConfig = app.config.onerror
        info = app.info
        self._options = options
        self._app = app
        self._about = About(name=info.name, env=info.env, directory=info.directory, error_page_url=options.error_page_url)

    async def __call__(self, error: Exception, ctx: Any) -> None:
        """Log the error and set the answer."""
        self._log(error, ctx)
        problem = problem_of(error)
        request = facts_of(ctx, self._about.directory)
        kind = choose(request)
        own: Callable[..., Any] | None = getattr(self._options, kind.value)
        if own is not None:
            ctx.status = problem.status
            ctx.set("x-content-type-options", "nosniff")
            result = own(error, ctx)
            if inspect.isawaitable(result):
                await result
            if kind is Format.HTML and isinstance(ctx.body, str) and not ctx.type:
                ctx.type = "html"
            return
        rendered = render_error(error, request, kind, self._about_now(kind))
        ctx.status = rendered.status
        for name, value in rendered.fields.items():
            ctx.set(name, value)
        ctx.body = rendered.body

    def _about_now(self, kind: Format) -> About:
        about = self._about
        if kind is not Format.HTML or not about.talkative:
            return about
        config = redact(self._app.config)
        return About(name=about.name, env=about.env, directory=about.directory, config=config, error_page_url=about.error_page_url)

    def _log(self, error: Exception, ctx: Any) -> None:
        wanted = self._options.app_error_filter
        if wanted is not None and wanted(error, ctx) is False:
            return
        problem = problem_of(error)
        if problem.ours:
            ctx.logger.error("%s: %s", kind_of(error), message_of(error), exc_info=exc_info(error))
            self._app.events.emit("error", error, ctx)
        else:
            ctx.logger.warning("%d %s", problem.status, problem.message)
