"""Whether a client's copy is still good (RFC 9110, 13.1; as jshttp/fresh decides it for Koa). Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime

_NO_CACHE = re.compile(r"(?:^|,)\s*no-cache\s*(?:,|$)", re.IGNORECASE)


def is_fresh(headers: Mapping[str, str], *, etag: str, last_modified: str) -> bool:
    """Say whether the request's conditions name this `etag`, or a time not before `last_modified`. An etag decides before a time."""
    none_match, modified_since = headers.get("if-none-match"), headers.get("if-modified-since")
    if (none_match is None and modified_since is None) or _NO_CACHE.search(headers.get("cache-control", "")):
        return False
    if none_match is not None:
        return names_etag(none_match, etag)
    since, modified = _time(modified_since or ""), _time(last_modified)
    return since is not None and modified is not None and modified <= since


def names_etag(conditions: str, etag: str) -> bool:
    """Say whether `etag` is one of those in If-None-Match; weak ones are as good as strong ones there."""
    if conditions.strip() == "*":
        return bool(etag)
    wanted = etag.removeprefix("W/")
    return bool(wanted) and any(text.strip().removeprefix("W/") == wanted for text in conditions.split(","))


def _time(text: str) -> datetime | None:
    try:
        found = parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return None
    return found if found.tzinfo else None
