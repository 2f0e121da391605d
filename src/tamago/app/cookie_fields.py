"""One cookie as a field of an answer, and all cookies of a request. Pure. After egg-cookies, byte for byte."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, TypedDict

from tamago.app.header_values import http_date
from tamago.errors import TamagoError

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
# A semicolon would begin an attribute. What else RFC 6265 leaves out, such as spaces and commas, every browser takes.
_VALUE = re.compile(r"[\x20-\x3a\x3c-\x7e]*")
_ATTRIBUTE = re.compile(r"[\x20-\x3a\x3c-\x7e]+")

# Browsers take any other word for the default, which may be less than was meant.
_SAME_SITES = ("lax", "strict", "none")
_PRIORITIES = ("low", "medium", "high")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class CookieError(TamagoError):
    """A cookie cannot be sent as asked."""


class CookieOptions(TypedDict, total=False):
    """How a cookie is kept. The defaults are those of `config.cookies`.

    `max_age` is in seconds. `secure` None: if the request came encrypted. `signed`: nobody else can make it. `encrypt`: nobody else can
    read it either. `same_site`: "lax", "strict", "none". `partitioned`: one for each site that embeds ours (CHIPS).
    """

    path: str
    domain: str
    max_age: float
    expires: datetime
    secure: bool | None
    http_only: bool
    same_site: Literal["lax", "strict", "none"] | None
    priority: Literal["low", "medium", "high"] | None
    partitioned: bool
    signed: bool
    encrypt: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class CookieAttributes:
    """What a browser is told about a cookie, with `CookieOptions`' meanings and Egg's defaults."""

    path: str = "/"
    domain: str = ""
    max_age: float = 0
    expires: datetime | None = None
    secure: bool = False
    http_only: bool = True
    same_site: str | None = None
    priority: str | None = None
    partitioned: bool = False


def cookie_field(name: str, value: str, attributes: CookieAttributes, *, now: float) -> str:
    """Return the value of a Set-Cookie field; an empty `value` takes the cookie back. `now`: seconds since 1970. Raises CookieError."""
    if not _NAME.fullmatch(name):
        raise CookieError(f"{name[:100]!r} cannot be the name of a cookie", hint="use letters, digits, dashes and underscores")
    if not _VALUE.fullmatch(value):
        raise CookieError(
            f"the value of cookie {name!r} has a semicolon, a control character or a character beyond ASCII in it",
            hint="percent-encode or encrypt it",
        )
    parts = [f"{name}={value}", *_attributes(name, attributes, now, deletes=not value)]
    return "; ".join(parts)


def _attributes(name: str, attributes: CookieAttributes, now: float, *, deletes: bool) -> list[str]:
    parts = [f"path={_checked(name, attributes.path)}"] if attributes.path else []
    expires = _EPOCH if deletes else attributes.expires
    if attributes.max_age and not deletes:
        parts.append(f"max-age={round(attributes.max_age)}")
        expires = datetime.fromtimestamp(now + attributes.max_age, UTC)
    if expires is not None:
        parts.append(f"expires={http_date(expires)}")
    if attributes.domain:
        parts.append(f"domain={_checked(name, attributes.domain)}")
    if attributes.priority:
        parts.append(f"priority={_one_of(name, 'priority', attributes.priority, _PRIORITIES)}")
    same_site = attributes.same_site and _one_of(name, "same_site", attributes.same_site, _SAME_SITES)
    # Browsers refuse SameSite=None without Secure; without either they keep the cookie.
    if same_site and (same_site != "none" or attributes.secure):
        parts.append(f"samesite={same_site}")
    flags = {"secure": attributes.secure, "httponly": attributes.http_only, "partitioned": attributes.partitioned and attributes.secure}
    return [*parts, *(flag for flag, is_set in flags.items() if is_set)]


def _checked(name: str, text: str) -> str:
    if not _ATTRIBUTE.fullmatch(text):
        raise CookieError(
            f"cookie {name!r} cannot have the attribute {text[:100]!r}", hint="remove what is not printable ASCII, and semicolons"
        )
    return text


def _one_of(name: str, option: str, text: str, words: tuple[str, ...]) -> str:
    if text.lower() not in words:
        raise CookieError(f"cookie {name!r} cannot have {option}={text!r}", hint=f"use one of {', '.join(map(repr, words))}")
    return text.lower()


def parse_cookies(header: str) -> dict[str, str]:
    """Return the cookies of a request by name; of several with one name the first, which has the most specific path."""
    cookies: dict[str, str] = {}
    for part in header.split(";"):
        name, equals, value = part.strip().partition("=")
        if equals and name not in cookies:
            cookies[name] = value.removeprefix('"').removesuffix('"') if value.startswith('"') else value
    return cookies
