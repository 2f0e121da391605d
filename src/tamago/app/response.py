"""The answer of a context: status, header fields, and what is made of them. Egg's `ctx.response`."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any

from tamago.app import accepts
from tamago.app.errors import reason
from tamago.app.header_values import HeaderValue, disposition, header_name, header_value, http_date, quoted_etag, safe_location

if TYPE_CHECKING:
    from tamago.app.context import Context

# Fields that describe a body, and are wrong once there is another.
_ABOUT_THE_BODY = {b"content-length", b"etag", b"last-modified", b"accept-ranges", b"cache-control", b"expires", b"location"}
# Not content-security-policy.
_OF_CONTENT = (b"content-type", b"content-encoding", b"content-disposition", b"content-language", b"content-range", b"content-location")


class ResponseView:
    """The answer in the making. `app/extend/response.py` adds to this class; the context's attributes of the same names are these.

    The state itself is the context's, where `respond` finds it without making this view.
    """

    def __init__(self, ctx: Context) -> None:
        self.ctx = ctx
        self.app = ctx.app

    @property
    def body(self) -> Any:
        return self.ctx.body

    @body.setter
    def body(self, value: Any) -> None:
        self.ctx.body = value

    @property
    def status(self) -> int:
        return self.ctx.status

    @status.setter
    def status(self, status: int) -> None:
        self.ctx.status = status

    @property
    def message(self) -> str:
        """The phrase of the status."""
        return reason(self.status)

    @property
    def header_sent(self) -> bool:
        """Whether it is too late to change status or header fields."""
        return self.ctx.answered

    # ── header fields ────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def headers(self) -> dict[str, str]:
        """A copy of the fields set so far; of a name that comes several times the last."""
        return {name.decode("latin-1"): value.decode("latin-1") for name, value in self._all()}

    def get(self, name: str) -> str:
        """Return the field set with this name, the values of several joined by ", "; "" without one."""
        key = header_name(name)
        return ", ".join(value.decode("latin-1") for field, value in self._all() if field == key)

    def set(self, name: str, value: HeaderValue) -> None:
        """Set a header field, in place of those with its name. Raises HeaderError for what cannot be sent."""
        key = header_name(name)
        encoded = _encoded(name, value)
        if key == b"content-type":
            self.ctx.answer_type = encoded[-1] if encoded else None
            return
        kept = (field for field in self.ctx.answer_fields if field[0] != key)
        self.ctx.answer_fields = (*kept, *((key, item) for item in encoded))

    def append(self, name: str, value: HeaderValue) -> None:
        """Add a header field beside those with its name."""
        key = header_name(name)
        if key == b"content-type":
            self.set(name, value)
            return
        self.ctx.answer_fields = (*self.ctx.answer_fields, *((key, item) for item in _encoded(name, value)))

    def remove(self, name: str) -> None:
        """Take a header field back."""
        self.set(name, ())

    def forget_body(self) -> None:
        """Forget the body, the status and the fields that describe them; others stay, such as cookies and those of security. For errors."""
        ctx = self.ctx
        ctx.body = None
        ctx.answer_status = 0
        ctx.answer_type = None
        ctx.answer_fields = tuple(
            field for field in ctx.answer_fields if field[0] not in _ABOUT_THE_BODY and not field[0].startswith(_OF_CONTENT)
        )

    # ── single fields ────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def type(self) -> str:
        """The media type of the body without parameters; "" while nothing is said, and the body's kind decides."""
        return (self.ctx.answer_type or b"").decode("latin-1").partition(";")[0].strip()

    @type.setter  # noqa: A003
    def type(self, kind: str) -> None:
        """Set it by a whole type or a short one: "json", "html", "png"; text gets `charset=utf-8` unless it names one."""
        full = accepts.media_type(kind)
        if "charset" not in full and (full.startswith("text/") or full.endswith(("/javascript", "/xml"))):
            full += "; charset=utf-8"
        self.set("content-type", full)

    @property
    def length(self) -> int | None:
        """The announced size in bytes; None while nothing is announced. Only streams need it, others are measured."""
        text = self.get("content-length")
        return int(text) if text else None

    @length.setter
    def length(self, size: int) -> None:
        self.set("content-length", size)

    @property
    def etag(self) -> str:
        return self.get("etag")

    @etag.setter
    def etag(self, value: str) -> None:
        """Quotes are added unless they are there; `W/"…"` is a weak one."""
        self.set("etag", quoted_etag(value))

    @property
    def last_modified(self) -> str:
        return self.get("last-modified")

    @last_modified.setter
    def last_modified(self, moment: datetime | float) -> None:
        self.set("last-modified", http_date(moment))

    def vary(self, name: str) -> None:
        """Say that the answer depends on this header field of the request."""
        said = [part.strip() for part in self.get("vary").split(",") if part.strip()]
        if name == "*":
            self.set("vary", "*")
        elif "*" not in said and name.lower() not in {part.lower() for part in said}:
            self.set("vary", ", ".join([*said, name]))

    def redirect(self, url: str, status: int = 302) -> None:
        """Send the client to a path on this site or to an http(s) URL. Raises UnsafeRedirectError (400) for anything else."""
        location = safe_location(url)
        self.ctx.body = f"Redirecting to {location}."
        self.ctx.status = status
        self.type = "text"
        self.set("location", location)

    def attachment(self, filename: str = "") -> None:
        """Have the client save the body as a file; its ending sets the type unless one is set."""
        if "." in filename and not self.type:
            self.type = filename.rpartition(".")[2]
        self.set("content-disposition", disposition(filename, "attachment"))

    def _all(self) -> Iterator[tuple[bytes, bytes]]:
        if self.ctx.answer_type is not None:
            yield b"content-type", self.ctx.answer_type
        yield from self.ctx.answer_fields


def _encoded(name: str, value: HeaderValue) -> list[bytes]:
    return [header_value(name, item) for item in ((value,) if isinstance(value, str | int) else value)]
