"""Makes the function that writes one line of the access log from a format. All that can be done once is done here, once.

No value can forge a line or break its quoting: what is not printable ASCII, and quotes and backslashes, are escaped. A line never is longer
than `LONGEST_LINE`, so that it reaches a pipe in one piece.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Sequence
from json.encoder import encode_basestring_ascii
from typing import TYPE_CHECKING, Final, TypeVar

from tamago.access_format import JSON, JSON_FIELDS, Placeholder, Text, parse
from tamago.server.forwarded import TrustedProxies

if TYPE_CHECKING:
    from tamago.server.access_log import LoggedExchange

LONGEST_LINE: Final = 4096
"""Bytes, its end included; as much as PIPE_BUF."""

MOST_OF_A_VALUE: Final = 1024
"""Bytes one value of the client's may take; a longer one is cut, and ends in three dots."""

_FIXED: Final = 64
"""Bytes that cover any value that is not the client's to choose."""

_CLIENT_LEFT: Final = 499
"""What nginx says for a client that left before it had an answer; never sent."""

Line = Callable[["LoggedExchange"], bytes]
Value = Callable[["LoggedExchange"], str]
Raw = Callable[["LoggedExchange"], bytes]
T = TypeVar("T", str, bytes)

# ── values of the client's ───────────────────────────────────────────────────────────────────────────────────────────

_UNSAFE: Final = re.compile(rb"[^ !#-\[\]-~]")


def quoted(raw: bytes, limit: int) -> str:
    r"""Return a value as it may stand between quotes: `\xHH` for quotes, backslashes and whatever is not printable ASCII; `-` for none."""
    if not raw:
        return "-"
    if len(raw) <= limit and _UNSAFE.search(raw) is None:
        return raw.decode("ascii")
    return _within(limit, 4, raw, _escape).decode("ascii")


def json_string(raw: bytes, limit: int) -> str:
    """Return a value as a JSON string in ASCII, quotes included; null for none."""
    if not raw:
        return "null"
    text = raw.decode("utf-8", "backslashreplace")
    if len(raw) <= limit // 8:  # at most six times as long
        return encode_basestring_ascii(text)
    return _within(limit, 12, text, encode_basestring_ascii)


def _escape(raw: bytes) -> bytes:
    return _UNSAFE.sub(lambda match: b"\\x%02X" % match[0][0], raw)


def _within(limit: int, growth: int, value: T, encode: Callable[[T], T]) -> T:
    """Encode, which makes it at most `growth` times as long; cut it before, if need be, so that it keeps to the limit."""
    encoded = encode(value[: limit + 1])
    dots = "..." if isinstance(value, str) else b"..."
    for size in (limit - 5, limit // growth - 5):
        if len(value) <= limit and len(encoded) <= limit:
            break
        encoded = encode(value[:size] + dots)
        value = value[:size]
    return encoded


def _field(name: bytes) -> Raw:
    def raw(exchange: LoggedExchange) -> bytes:
        for key, value in exchange.fields:
            if key == name:
                return value
        return b""

    return raw


def _path(exchange: LoggedExchange) -> bytes:
    return exchange.target.partition(b"?")[0]


def _peer(exchange: LoggedExchange) -> bytes:
    client = exchange.connection.client
    return client[0].encode() if client else b""


def _client(proxies: TrustedProxies) -> Raw:
    def raw(exchange: LoggedExchange) -> bytes:
        client = exchange.connection.client
        said = proxies.client(exchange.fields) if proxies.trusts(client[0] if client else None) else None
        return said.encode("latin-1") if said else _peer(exchange)

    return raw if proxies else _peer


def _texts(proxies: TrustedProxies) -> dict[str, Raw]:
    """Return name → how to find it, for what the client has a say in."""
    return {
        "client": _client(proxies),
        "peer": _peer,
        "target": lambda exchange: exchange.target,
        "path": _path,
        "referer": _field(b"referer"),
        "user_agent": _field(b"user-agent"),
        "host": _field(b"host"),
    }


# ── values of ours ───────────────────────────────────────────────────────────────────────────────────────────────────


# Those of strftime are in the language that an application may have set for its process, which no log reader expects.
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class _Clock:
    """Says when a request came; formats each second once."""

    def __init__(self, form: str, *, colon: bool) -> None:
        self._form = form
        self._colon = colon
        self._second = -1
        self._text = ""

    def __call__(self, exchange: LoggedExchange) -> str:
        second = int(exchange.log.epoch + exchange.began)
        if second != self._second:
            local = time.localtime(second)
            text = time.strftime(self._form.replace("%b", _MONTHS[local.tm_mon - 1]), local)
            self._text = f"{text[:-2]}:{text[-2:]}" if self._colon else text
            self._second = second
        return self._text


_OURS: Final[dict[str, Value]] = {
    "method": lambda exchange: exchange.method,
    "protocol": lambda exchange: "HTTP/" + exchange.version,
    "completion": lambda exchange: "complete" if exchange.done else "cut",
    "scheme": lambda exchange: exchange.connection.scheme,
    "request_id": lambda exchange: exchange.request_id or "-",
    "status": lambda exchange: str(exchange.status or _CLIENT_LEFT),
    "bytes": lambda exchange: str(exchange.body_sent),
    "seconds": lambda exchange: f"{exchange.ended - exchange.began:.6f}",
    "first_byte": lambda exchange: f"{(exchange.answered or exchange.ended) - exchange.began:.6f}",
}
_NUMBERS: Final = frozenset({"status", "bytes", "seconds", "first_byte", "worker", "pid"})


# ── lines ────────────────────────────────────────────────────────────────────────────────────────────────────────────


class _Pieces:
    """A format taken apart: fixed text, and what to put between its pieces."""

    def __init__(self, *, slot: int, trusted_proxies: Sequence[str]) -> None:
        self.texts = _texts(TrustedProxies(trusted_proxies))
        self._ours: dict[str, Value] = {
            **_OURS,
            "time": _Clock("%d/%b/%Y:%H:%M:%S %z", colon=False),
            "time_iso": _Clock("%Y-%m-%dT%H:%M:%S%z", colon=True),
        }
        self._constants = {"worker": str(slot), "pid": str(os.getpid()), "user": "-"}
        self._fixed = [""]
        self._finders: list[Value] = []

    def say(self, text: str) -> None:
        """Add what is the same in each line."""
        self._fixed[-1] += text

    def find(self, finder: Value) -> None:
        """Add what is found for each request."""
        self._finders.append(finder)
        self._fixed.append("")

    def ours(self, name: str) -> None:
        """Add a value of ours."""
        if name in self._constants:
            self.say(self._constants[name])
        else:
            self.find(self._ours[name])

    def line(self) -> Line:
        """Return the function that puts it all together."""
        template = "%s".join(text.replace("%", "%%") for text in self._fixed) + "\n"
        finders = tuple(self._finders)

        def line(exchange: LoggedExchange) -> bytes:
            return (template % tuple([find(exchange) for find in finders])).encode()

        return line


def make_line(form: str, *, slot: int, trusted_proxies: Sequence[str] = ()) -> Line:
    """Return the function that formats a line. `form` has been checked by `access_format.problem`."""
    pieces = _Pieces(slot=slot, trusted_proxies=trusted_proxies)
    if form == JSON:
        _take_apart_json(pieces)
    else:
        _take_apart(form, pieces)
    return pieces.line()


def wants_request_id(form: str) -> bool:
    """Say whether lines in that format name the id of the request."""
    return form == JSON or Placeholder("request_id") in parse(form)


def _take_apart(form: str, pieces: _Pieces) -> None:
    parts = parse(form)
    texts = [part for part in parts if isinstance(part, Placeholder) and (part.header or part.name in pieces.texts)]
    rest = sum(len(part.text.encode()) if isinstance(part, Text) else _FIXED for part in parts)
    limit = min(MOST_OF_A_VALUE, (LONGEST_LINE - rest) // max(1, len(texts)))
    for part in parts:
        if isinstance(part, Text):
            pieces.say(part.text)
        elif part in texts:
            raw = _field(part.header.encode()) if part.header else pieces.texts[part.name]
            pieces.find(_quoting(raw, limit))
        else:
            pieces.ours(part.name)


def _take_apart_json(pieces: _Pieces) -> None:
    limit = (LONGEST_LINE - _FIXED * len(JSON_FIELDS)) // len(pieces.texts)
    for number, name in enumerate(JSON_FIELDS):
        pieces.say(f'{", " if number else "{"}"{name.removesuffix("_iso")}": ')
        if name in pieces.texts:
            pieces.find(_jsoning(pieces.texts[name], limit))
        elif name in _NUMBERS:
            pieces.ours(name)
        else:
            pieces.say('"')
            pieces.ours(name)
            pieces.say('"')
    pieces.say("}")


def _quoting(raw: Raw, limit: int) -> Value:
    unsafe = _UNSAFE.search

    def value(exchange: LoggedExchange) -> str:
        data = raw(exchange)
        if len(data) <= limit and unsafe(data) is None:
            return data.decode("ascii") or "-"  # nearly always, so without detours
        return quoted(data, limit)

    return value


def _jsoning(raw: Raw, limit: int) -> Value:
    def value(exchange: LoggedExchange) -> str:
        data = raw(exchange)
        return json_string(data, limit) if data else "null"

    return value
