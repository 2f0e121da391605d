"""Checks and encodes header fields of an answer, where the mistake is made and not where it would be sent. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from email.utils import formatdate
from urllib.parse import quote

from tamago.app.errors import UnsafeRedirectError
from tamago.errors import TamagoError

Fields = tuple[tuple[bytes, bytes], ...]
"""Header fields, names in lower case."""

HeaderValue = str | int | Sequence[str]
"""What a header may be set to; a sequence becomes as many fields."""

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_UNSENDABLE = re.compile(r"[\r\n\0]")
_UNSAFE_IN_URL = re.compile(r"[\x00-\x20\x7f\\]")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_HTTP = re.compile(r"https?://[^/]", re.IGNORECASE)

# Names that were checked once. An application uses few, over and over.
_names: dict[str, bytes] = {}
_MAX_NAMES = 512


class HeaderError(TamagoError):
    """A name or value cannot be sent as a header field."""


def header_name(name: str) -> bytes:
    """Return the lower-case name in bytes. Raises HeaderError for what is no token (RFC 9110, 5.6.2)."""
    known = _names.get(name)
    if known is not None:
        return known
    if not _TOKEN.fullmatch(name):
        raise HeaderError(f"{name[:100]!r} cannot be the name of a header", hint="use letters, digits and dashes")
    encoded = name.lower().encode("ascii")
    if len(_names) < _MAX_NAMES:
        _names[name] = encoded
    return encoded


def header_value(name: str, value: str | int) -> bytes:
    """Return the value in bytes. Raises HeaderError for a line break, which would write the client's next header, and beyond Latin-1."""
    text = str(value)
    if _UNSENDABLE.search(text):
        raise HeaderError(f"the value of header {name!r} has a line break or a NUL in it: {text[:100]!r}", hint="remove it, or encode it")
    try:
        return text.strip(" \t").encode("latin-1")
    except UnicodeEncodeError:
        raise HeaderError(
            f"the value of header {name!r} has a character beyond Latin-1 in it: {text[:100]!r}", hint="percent-encode it"
        ) from None


def http_date(moment: datetime | float) -> str:
    """Return an HTTP date from a time zone's moment or seconds since 1970. Raises HeaderError for a datetime without a zone."""
    if not isinstance(moment, datetime):
        return formatdate(moment, usegmt=True)
    if moment.tzinfo is None:
        raise HeaderError(f"{moment!r} has no time zone", hint="use datetime.now(UTC)")
    return formatdate(moment.timestamp(), usegmt=True)


def quoted_etag(value: str) -> str:
    """Return an entity tag with its quotes."""
    return value if value.startswith(('"', 'W/"')) else f'"{value}"'


def safe_location(url: str) -> str:
    """Return a Location that stays on this site or names an http(s) one, percent-encoded.

    Raises UnsafeRedirectError for any other scheme, and for `//host`, also with backslashes, which browsers take for another site.
    """
    text = url.strip()
    if _UNSAFE_IN_URL.search(text) or text.startswith("//") or (_SCHEME.match(text) and not _HTTP.match(text)):
        raise UnsafeRedirectError(url)
    return quote(text or "/", safe="!#$%&'()*+,/:;=?@[]~")


def disposition(filename: str, kind: str) -> str:
    """Return a Content-Disposition (RFC 6266): the name in ASCII for old clients, and in UTF-8 for all others."""
    if not filename:
        return kind
    ascii_name = filename.encode("ascii", "replace").decode()
    plain = re.sub(r'[\x00-\x1f\x7f"\\/%]', "_", ascii_name).replace("?", "_" if ascii_name != filename else "?")
    if plain == filename:
        return f'{kind}; filename="{plain}"'
    return f"{kind}; filename=\"{plain}\"; filename*=UTF-8''{quote(filename, safe='')}"
