"""What can be configured about the plugin `static`."""

from __future__ import annotations

from typing import Annotated

import msgspec

Prefix = Annotated[str, msgspec.Meta(pattern="^/(.*/)?$")]
"""The beginning of a path, from its first slash to one at the end."""


class Served(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A directory, relative to the application's, and where it is served."""

    prefix: Prefix
    dir: str


class StaticConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    r"""The part `static`.

    `dir` is served below `prefix`, and each of `dirs` below its own; where several have the same prefix, the first that has a file wins.
    "" for `dir` is `app/public`, which need not exist.

    `max_age`: seconds a client may use a file without asking whether it changed; it asks each time with 0. A name that matches `immutable`
    has a hash of the content in it and may be kept for a year. Both hold where nobody develops; in local and unittest clients always ask.

    `precompressed`: `x.css.br` beside `x.css` is sent to clients that take it, if it is not older; in this order of preference.
    """

    prefix: Prefix = "/public/"
    dir: str = ""
    dirs: tuple[Served, ...] = ()
    max_age: Annotated[int, msgspec.Meta(ge=0)] = 0
    immutable: str = r"[.-](?=\d*[a-f])(?=[a-f]*\d)[0-9a-f]{8,64}\.[^/]+$"
    precompressed: tuple[str, ...] = ("br", "zstd", "gzip")
