"""What an error page tells of the request, without what is secret in it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tamago.core.redact import DEFAULT_IGNORE, redact

_SECRET = (
    *DEFAULT_IGNORE,
    re.compile(r"cookie|session|csrf|xsrf|signature|jwt|^(auth|code|key|sig)$|x-amz|x-forwarded-client-cert", re.IGNORECASE),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestFacts:
    """One request. `headers`, `query` and `params` are redacted; `accept` and `content_type` are as sent."""

    method: str = "GET"
    path: str = "/"
    accept: str = ""
    content_type: str = ""
    ip: str = ""
    request_id: str = ""
    route: str = ""
    headers: Mapping[str, Any] = field(default_factory=dict)
    query: Mapping[str, Any] = field(default_factory=dict)
    params: Mapping[str, Any] = field(default_factory=dict)


def facts_of(ctx: Any, directory: Path) -> RequestFacts:
    """Take the facts of a context's request; `directory` is the application's, for shorter paths."""
    return RequestFacts(
        method=ctx.method,
        path=ctx.path,
        accept=ctx.get("accept"),
        content_type=ctx.get("content-type"),
        ip=ctx.ip,
        request_id=ctx.request_id,
        route=_route(ctx.route, directory),
        headers=redact(dict(ctx.headers), _SECRET),
        query=redact(dict(ctx.queries), _SECRET),
        params=redact(dict(ctx.params), _SECRET),
    )


def _route(route: Any, directory: Path) -> str:
    path, source = str(getattr(route, "path", "")), str(getattr(route, "source", ""))
    return " · ".join(part for part in (path, source.removeprefix(f"{directory}/")) if part)
