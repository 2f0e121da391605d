"""The request of a context: what the client sent, taken apart when it is asked for. Egg's `ctx.request`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from tamago.app import accepts, target
from tamago.app.body.parsing import parse_body
from tamago.app.freshness import is_fresh
from tamago.app.headers import Headers
from tamago.app.lazy import lazy

if TYPE_CHECKING:
    from tamago.app.context import Context

# `host:80`, `[::1]:80`, `[::1]`
_PORT = re.compile(r":\d*\Z")


class RequestView:
    """The request. `app/extend/request.py` adds to this class; the context's attributes of the same names are these.

    Proxies are not looked at here: whoever serves knows which of them to trust (`--trusted-proxies`), so `ip` and `protocol` are already
    those of the client.
    """

    def __init__(self, ctx: Context) -> None:
        self.ctx = ctx
        self.app = ctx.app
        self._exchange = ctx.exchange

    # ── line ─────────────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def method(self) -> str:
        return self.ctx.method

    @property
    def url(self) -> str:
        """The target as it stood in the request line (or was rewritten), with its query."""
        return self.ctx.target.decode("latin-1")

    @lazy
    def path(self) -> str:
        """The path, percent-encoding undone."""
        return target.decode_path(target.split_target(self.ctx.target)[0])

    @lazy
    def querystring(self) -> str:
        """What stands after the `?`, as it stands there."""
        return target.split_target(self.ctx.target)[1].decode("latin-1")

    @lazy
    def values(self) -> dict[str, list[str]]:
        """Every value of each name in the query, as the client named them."""
        return target.parse_pairs(self.querystring)

    @lazy
    def query(self) -> dict[str, str]:
        """The first value of each name in the query."""
        return {name: values[0] for name, values in self.values.items()}

    @lazy
    def queries(self) -> dict[str, list[str]]:
        """Every value of each name in the query; `b[]` also as `b`."""
        return target.with_list_names(self.values)

    # ── who and where ────────────────────────────────────────────────────────────────────────────────────────────────

    @lazy
    def ip(self) -> str:
        """The address of the client; "" where it has none (a Unix socket). IPv4 in IPv6 is written as IPv4."""
        client = self._exchange.client
        return client[0].removeprefix("::ffff:") if client else ""

    @property
    def protocol(self) -> str:
        """`http` or `https`."""
        return self._exchange.scheme

    @property
    def secure(self) -> bool:
        return self.protocol == "https"

    @property
    def host(self) -> str:
        """Name and port that the client asked for; "" if it did not say."""
        return self.headers.find(b"host") or ""

    @property
    def hostname(self) -> str:
        return _PORT.sub("", self.host)

    @property
    def origin(self) -> str:
        return f"{self.protocol}://{self.host}"

    @property
    def href(self) -> str:
        """The whole URL."""
        return self.url if "://" in self.url.partition("?")[0] else f"{self.origin}{self._exchange.root_path}{self.url}"

    # ── header fields ────────────────────────────────────────────────────────────────────────────────────────────────

    @lazy
    def headers(self) -> Headers:
        return Headers(self._exchange.fields)

    def get(self, name: str, default: str = "") -> str:
        """Return a header field by name, whatever the case. `referer` and `referrer` are the same."""
        found = self.headers.get(name)
        if found is None and name.lower() in {"referer", "referrer"}:
            found = self.headers.get("referrer", self.headers.get("referer"))
        return default if found is None else found

    @property
    def content_type(self) -> str:
        """The media type of the body in lower case, without parameters; "" without one."""
        return (self.headers.find(b"content-type") or "").partition(";")[0].strip().lower()

    @property
    def content_length(self) -> int | None:
        """The announced size of the body in bytes; None when it comes in chunks, or there is none."""
        text = self.headers.find(b"content-length") or ""
        return int(text) if text.isascii() and text.isdigit() else None

    def accepts(self, *offered: str) -> str | None:
        """Return which of these the client likes best ("json", "html", "image/png"), as given here; None if it takes none of them."""
        return accepts.best(self.headers.find(b"accept") or "", offered)

    @property
    def accept_json(self) -> bool:
        """Whether the answer should be JSON: the path ends in `.json`, its type is JSON already, or the client prefers it."""
        return self.path.endswith(".json") or "json" in self.ctx.response.type or self.accepts("html", "text", "json") == "json"

    @property
    def fresh(self) -> bool:
        """Whether the client's copy is still good, by the `etag` and `last_modified` set on the answer: then 304 says so in less."""
        ctx = self.ctx
        if self.method not in {"GET", "HEAD"} or not (200 <= ctx.status < 300 or ctx.status == 304):
            return False
        return is_fresh(self.headers, etag=ctx.response.get("etag"), last_modified=ctx.response.get("last-modified"))

    # ── body ─────────────────────────────────────────────────────────────────────────────────────────────────────────

    @lazy
    def body(self) -> Any:
        """What the body says, once it was read (`body_parser` does that): from JSON, a form's dict, or text; an empty dict for none.

        Decoded when first asked for. Raises BadRequestError for one that does not say what its type claims.
        """
        raw = self.ctx.body_as_read
        if not raw:
            return {}
        return parse_body(raw, self.headers.find(b"content-type") or "", strict=self.app.config["body_parser"].strict)

    @property
    def raw_body(self) -> bytes:
        """The bytes of the body, once they were read."""
        return self.ctx.body_as_read or b""
