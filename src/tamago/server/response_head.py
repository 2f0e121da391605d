"""Turns a status and header fields from an application into the first bytes of an answer. Pure; decides no framing by itself.

What the application says about framing is noted, and taken out where it is not the application's to say: only the exchange knows how the
body will travel.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from tamago.server.status import BODILESS, SERVER_FIELD, STATUS_LINES, status_line

Fields = Iterable[tuple[bytes, bytes]]


# What the application said besides its fields, and that the status allows no body. Bits and no enum: this is done for each answer, and
# IntFlag takes a microsecond.
SAID_CLOSE, SAID_DATE, SAID_SERVER, NO_BODY = 1, 2, 4, 8


# Status; status line and fields, ending in a line break; the announced content-length or None; the bits above. A plain tuple for speed.
ResponseHead = tuple[int, bytes, int | None, int]

_SPECIAL = {b"content-length", b"transfer-encoding", b"connection", b"date", b"server"}
_TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")

# Each plain field name as it begins a line, checked once. An application uses few names, over and over; should one make them up, they
# are still checked, and no longer kept.
_prefixes: dict[bytes, bytes] = {}
_MAX_PREFIXES = 1024

# Whole heads as well: most of an application's answers have the same one, and finding it costs a third of making it. Forgotten all at
# once when there are too many, which costs applications that never repeat a head next to nothing.
_heads: dict[tuple[int, tuple[tuple[bytes, bytes], ...]], ResponseHead] = {}
known_head = _heads.get
_MAX_HEADS = 512
_LONGEST_KEPT = 1024  # bytes


# Lines for short bodies: to find one takes a fifth of the time that formatting it does.
_length_lines: dict[int, bytes] = {}
known_length_line = _length_lines.get
_MAX_LENGTH_LINES = 4096


def response_head(status: int, fields: Fields) -> ResponseHead:
    """Encode and check. Raises ValueError or TypeError for what may not be sent."""
    key = (status, tuple(fields))
    try:
        head = known_head(key)
    except TypeError:
        return _made(status, key[1])  # fields that are lists, as the specification of ASGI allows
    if head is None:
        head = _made(status, key[1])
        if len(_heads) >= _MAX_HEADS:
            _heads.clear()
        if len(head[1]) <= _LONGEST_KEPT:
            _heads[key] = head
    return head


def _made(status: int, fields: Fields) -> ResponseHead:
    length: int | None = None
    said = NO_BODY if status in BODILESS else 0
    lines = [STATUS_LINES.get(status) or status_line(status)]
    for name, value in fields:
        prefix = _prefixes.get(name)
        if prefix is not None:
            lines.append(prefix + value)
        elif name == b"content-length" and length is None and status != 204 and value.isdigit():
            length = int(value)  # in nearly every answer, so without detours
            lines.append(b"content-length: " + value)
        else:
            line, length, bits = _rare(name, value, status, length)
            lines.extend(line)
            said |= bits
    lines.append(b"")
    block = b"\r\n".join(lines)
    breaks = len(lines) - 1
    # One count for all lines: whoever slips a line break into a field would write the client's next header, or its next answer.
    if block.count(b"\n") != breaks or block.count(b"\r") != breaks or 0 in block:
        raise ValueError("a response header has a line break or a NUL in it")
    return (status, block, length, said)


def encode(head: ResponseHead, date: bytes, framing: bytes) -> bytes:
    """Return the whole head, with the empty line; `date` and `framing` are complete field lines."""
    _, block, _, said = head
    return b"%b%b%b%b\r\n" % (block, b"" if said & SAID_SERVER else SERVER_FIELD, b"" if said & SAID_DATE else date, framing)


def length_line(size: int) -> bytes:
    """Return the field that says how long the body is."""
    line = known_length_line(size)
    if line is None:
        line = b"content-length: %d\r\n" % size
        if size < _MAX_LENGTH_LINES:
            _length_lines[size] = line
    return line


def early_hints(links: Iterable[bytes]) -> bytes:
    """Encode an interim answer 103 with these Link values (RFC 8297); empty for none. Raises ValueError for what may not be sent."""
    values = list(links)
    block = b"".join(b"link: %b\r\n" % value for value in values)
    if block.count(b"\n") != len(values) or block.count(b"\r") != len(values) or 0 in block:
        raise ValueError("an early hint has a line break or a NUL in it")
    return b"HTTP/1.1 103 Early Hints\r\n%b\r\n" % block if values else b""


def _rare(name: bytes, value: bytes, status: int, length: int | None) -> tuple[tuple[bytes, ...], int | None, int]:
    """Encode a field that is new or special: return its line or none, the content-length so far, and what else it says."""
    key = name.lower()
    if key not in _SPECIAL:
        return (_prefix(name) + value,), length, 0
    if key == b"content-length":
        if length is not None or not value.isdigit():
            raise ValueError(f"content-length {value.decode('latin-1')!r} must be one whole number, given once")
        length = int(value)
    sent = _is_sent(key, value, status)
    return (b"%b: %b" % (name, value),) if sent else (), length, _note(key, value)


def _prefix(name: bytes) -> bytes:
    if not _TOKEN.fullmatch(name):
        raise ValueError(f"{name.decode('latin-1')!r} cannot be the name of a response header, such as one with a line break or a space")
    prefix = name + b": "
    if len(_prefixes) < _MAX_PREFIXES:
        _prefixes[name] = prefix
    return prefix


def _note(name: bytes, value: bytes) -> int:
    if name == b"date":
        return SAID_DATE
    if name == b"server":
        return SAID_SERVER
    if name == b"connection" and b"close" in _tokens(value):
        return SAID_CLOSE
    return 0


def _is_sent(name: bytes, value: bytes, status: int) -> bool:
    """Say whether a special field goes out as it stands."""
    if name == b"connection":
        return not _tokens(value) & {b"close", b"keep-alive"}
    if name == b"content-length":
        return status != 204  # which must not have one
    return name != b"transfer-encoding"  # that is between two ends of a connection, and this end is ours


def _tokens(value: bytes) -> set[bytes]:
    return {token.strip().lower() for token in value.split(b",")}
