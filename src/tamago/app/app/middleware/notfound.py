"""Answers what nobody answered: 404 as JSON or HTML, or a page of the application's own (`config.notfound.page_url`)."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from tamago.app.chain import After, Middleware
from tamago.app.context import Context

_PAGE = "<h1>404 Not Found</h1>"


def middleware(options: Any, app: Any) -> Middleware:  # noqa: ARG001 - factories take both
    """Make it."""
    page_url: str = options.page_url

    def notfound(ctx: Context) -> None:
        if ctx.status != 404 or ctx.answered:
            return
        ctx.status = 404
        if ctx.accept_json:
            ctx.body = {"message": "Not Found"}
        elif not page_url:
            ctx.type, ctx.body = "html", _PAGE
        elif ctx.path == page_url:
            ctx.type = "html"
            ctx.body = f"{_PAGE}<p><pre><code>config.notfound.page_url({page_url})</code></pre> is not implemented</p>"
        else:
            ctx.redirect(f"{page_url}{'&' if '?' in page_url else '?'}{urlencode({'real_status': 404})}")

    return After(notfound)
