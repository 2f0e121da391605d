"""What a line of the access log is made of: the placeholders, the formats with a name, and how a format of one's own is read. Pure.

Knows neither requests nor how a value is found; `server/access_line.py` does.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

PLACEHOLDERS: Final = MappingProxyType(
    {
        "client": "address of the client; behind a trusted proxy, what that says",
        "peer": "address of whoever is connected: the client or a proxy",
        "user": "always `-`; a place for the user name that the common formats have",
        "time": "when the request came, as 28/Nov/2026:09:30:00 +0200",
        "time_iso": "when the request came, as 2026-11-28T09:30:00+02:00",
        "method": "GET, POST ...; `-` if the request could not be read",
        "target": "the request target as it was sent: path and query",
        "path": "the target without its query",
        "protocol": "HTTP/1.1 or HTTP/1.0",
        "status": "of the answer; 101 for a websocket, 499 if the client left before there was one",
        "bytes": "of the answer's body",
        "seconds": "from the request's head until the answer was complete, with microseconds",
        "first_byte": "seconds from the request's head until the answer began",
        "completion": "`complete`, or `cut` if the answer did not get to its end",
        "referer": "the Referer field",
        "user_agent": "the User-Agent field",
        "host": "the Host field",
        "scheme": "http or https, as the server itself was reached",
        "request_id": "id of the request (see `request_id` in the settings)",
        "worker": "slot of the worker",
        "pid": "process id of the worker",
    }
)
"""Name → meaning. Besides, `{header:NAME}` is any field of the request."""

COMMON: Final = '{client} - {user} [{time}] "{method} {target} {protocol}" {status} {bytes}'
COMBINED: Final = COMMON + ' "{referer}" "{user_agent}"'
NAMED: Final = MappingProxyType({"common": COMMON, "combined": COMBINED})
JSON: Final = "json"

JSON_FIELDS: Final = (
    "time_iso", "client", "method", "target", "protocol", "status", "bytes", "seconds", "first_byte", "completion", "referer",
    "user_agent", "request_id", "worker", "pid",
)  # fmt: skip
"""The keys of a line in the format `json`, in order."""

LONGEST: Final = 1024
"""Bytes of a format."""

MOST: Final = 32
"""Placeholders of a format. With both bounds there is room in a line for all of them."""

_TOKEN: Final = re.compile(r"\{\{|\}\}|\{[^{}]*\}|[{}]")
_HEADER: Final = re.compile(r"header:([!#$%&'*+.^_`|~0-9A-Za-z-]+)")


@dataclass(frozen=True, slots=True)
class Text:
    """Part of a format that is the same in each line."""

    text: str


@dataclass(frozen=True, slots=True)
class Placeholder:
    """Part of a format that differs; `header` is a field's name in lower case where `name` is "header"."""

    name: str
    header: str = ""


class FormatError(ValueError):
    """A format that cannot be used; the text completes "the format ..."."""


def parse(text: str) -> list[Text | Placeholder]:
    """Read a format: `common`, `combined`, or text with placeholders in braces; `{{` and `}}` are braces. Raises FormatError."""
    text = NAMED.get(text, text)
    if len(text.encode("utf-8", "replace")) > LONGEST:
        raise FormatError(f"must not be longer than {LONGEST} bytes")
    if not text.isprintable():
        raise FormatError("must not have a line break or another control character in it")
    parts: list[Text | Placeholder] = []
    end = 0
    for match in _TOKEN.finditer(text):
        parts.append(Text(text[end : match.start()]))
        parts.append(_part(match[0], match.start()))
        end = match.end()
    parts.append(Text(text[end:]))
    placeholders = sum(isinstance(part, Placeholder) for part in parts)
    if not placeholders:
        raise FormatError("must be common, combined, json, or have placeholders in it such as {client}")
    if placeholders > MOST:
        raise FormatError(f"must not have more than {MOST} placeholders, and has {placeholders}")
    return [part for part in parts if part != Text("")]


def problem(text: str) -> str | None:
    """Return what is wrong with a format, or None."""
    if text == JSON:
        return None
    try:
        parse(text)
    except FormatError as error:
        return str(error)
    return None


def _part(token: str, at: int) -> Text | Placeholder:
    if token in {"{{", "}}"}:
        return Text(token[0])
    if len(token) == 1:
        raise FormatError(f"has a {token} without its partner at character {at + 1}; write {token * 2} for the character itself")
    name = token[1:-1]
    if (header := _HEADER.fullmatch(name)) is not None:
        return Placeholder("header", header[1].lower())
    if name not in PLACEHOLDERS:
        import difflib  # noqa: PLC0415 - for a mistake that most never make

        close = difflib.get_close_matches(name, PLACEHOLDERS, n=1)
        hint = f"did you mean {{{close[0]}}}?" if close else "the documentation of the access log lists all"
        raise FormatError(f"has the placeholder {token}, which there is not; {hint}")
    return Placeholder(name)
