"""What can be configured about the plugin `onerror`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec


class OnerrorConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The part `onerror`.

    `error_page_url`: in production, where browsers are sent for an error of 500 and above, with `real_status=500` added to its query; ""
    is a short page of our own. `html`, `json`, `text` replace an answer: each is called with the error and the context and sets `ctx.body`.
    `app_error_filter` is called with the error and the context, and keeps an error out of the log by returning False.
    """

    error_page_url: str = ""
    html: Callable[..., Any] | None = None
    json: Callable[..., Any] | None = None
    text: Callable[..., Any] | None = None
    app_error_filter: Callable[..., Any] | None = None
