"""Where a handler's parameter comes from, when its name and type do not say it: `Annotated[str, Header("x-token")]`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from tamago.app.binding.bad_values import Source


@dataclass(frozen=True, slots=True)
class Query:
    """From the query string. `name` is the key, by default the parameter's name. A struct takes its fields from the keys of their names."""

    source: ClassVar[Source] = Source.QUERY
    name: str = ""


@dataclass(frozen=True, slots=True)
class Header:
    """From a header field. `name` is by default the parameter's name with `-` for `_`."""

    source: ClassVar[Source] = Source.HEADER
    name: str = ""


@dataclass(frozen=True, slots=True)
class Cookie:
    """From a cookie. `name` is by default the parameter's name; `signed` and `encrypt` are those of `ctx.cookies.get`.

    So by default a cookie counts only if we have signed it, as `ctx.cookies.set` does.
    """

    source: ClassVar[Source] = Source.COOKIE
    name: str = ""
    signed: bool = True
    encrypt: bool = False


@dataclass(frozen=True, slots=True)
class Body:
    """The request's body: `bytes` and `str` as they are, everything else from JSON or a form."""

    source: ClassVar[Source] = Source.BODY


Marker = Query | Header | Cookie | Body
MARKERS = (Query, Header, Cookie, Body)
