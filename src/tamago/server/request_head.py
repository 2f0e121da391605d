"""Judges the head of a request: which version, whom it is for, how the body travels, and whether anything about it is ambiguous. Pure.

llhttp has already refused what no two parsers agree on (both lengths, two lengths, folded lines, bare line feeds, space before a
colon); what is left here is what it lets pass.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from tamago.server import refusal as refusals
from tamago.server.refusal import Refusal

# Fields that change how a request is read or whom it is for. The first Host is kept apart: it is in every request.
_SPECIAL = frozenset({b"host", b"content-length", b"transfer-encoding", b"connection", b"expect", b"upgrade"})

# Names of fields in lower case, and whether they are special, by how they were written.
_known_names: dict[bytes, tuple[bytes, bool]] = {}
known_name = _known_names.get  # the method of an imported dictionary would be looked up at each call
_MAX_NAMES = 1024
_LONGEST_KEPT = 64  # bytes

# Host values that were found sound. A server has few names; when clients make them up, it starts again.
SOUND_HOSTS: set[bytes | None] = set()
_MAX_HOSTS = 1024

# Host is `uri-host [":" port]` (RFC 9110, 7.2): a name or IPv4 address, or an IPv6 address in brackets (RFC 3986, 3.2.2). It may be empty.
_HOST = re.compile(rb"(?:[0-9A-Za-z._~!$&'()*+,;=%-]*|\[[0-9A-Za-z:.%_~-]+\])(?::[0-9]*)?")
_ABSOLUTE = re.compile(rb"https?://([^/?#]*)(?:[/?#].*)?", re.IGNORECASE)

# llhttp speaks RTSP and ICE too, and doesn't say which of them it was. These methods are only theirs.
_OTHER_PROTOCOLS = frozenset(
    b"ANNOUNCE DESCRIBE FLUSH GET_PARAMETER PAUSE PLAY PRI RECORD REDIRECT SETUP SET_PARAMETER SOURCE TEARDOWN".split()
)

_VERSIONS = frozenset({"1.0", "1.1"})

# Past it lengths turn negative in whoever counts them in 64 bits with a sign, such as a proxy in front of us.
_MAX_LENGTH = (1 << 63) - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestHead:
    """What the special fields of one request mean."""

    version: str
    length: int  # of the body; -1: chunked
    expects_continue: bool = False
    upgrade: bytes = b""


def new_name(name: bytes) -> tuple[bytes, bool]:
    """Return what `known_name` does not know yet. When clients make names up, the known ones are forgotten."""
    lower = name.lower()
    found = (lower, lower in _SPECIAL)
    if len(name) <= _LONGEST_KEPT:
        if len(_known_names) >= _MAX_NAMES:
            _known_names.clear()
        _known_names[name] = found
    return found


def judge(
    *,
    method: bytes,
    target: bytes,
    version: str,
    host: bytes | None,
    special: list[tuple[bytes, bytes]],
    length: int,
    limit_body: int,
    upgrades: bool,
) -> RequestHead | Refusal:
    """Return what the head means, or why it is refused.

    `host` is the first Host, `length` the Content-Length, and `special` are the other special fields.
    """
    refusal = _line_problem(method, target, version, host)
    if refusal is not None:
        return refusal
    expects_continue, upgrade = False, b""
    for name, value in special:
        if name == b"upgrade":
            upgrade = value.lower() if upgrades else b""
        elif name != b"connection":
            refusal = _field_problem(name, value, version)
            if refusal is not None:
                return refusal
            if name == b"transfer-encoding":
                length = -1
            else:
                expects_continue = version == "1.1"
    head = RequestHead(version=version, length=length, expects_continue=expects_continue and length != 0, upgrade=upgrade)
    return length_problem(length, limit_body) or head


def _line_problem(method: bytes, target: bytes, version: str, host: bytes | None) -> Refusal | None:
    if version not in _VERSIONS:
        return refusals.VERSION_NOT_SUPPORTED
    if method == b"CONNECT":
        return refusals.NO_TUNNELS
    if method in _OTHER_PROTOCOLS:
        return refusals.METHOD_UNKNOWN
    refusal = None if host in SOUND_HOSTS else _host_problem(version, host)
    if refusal is None and target[0] != 47:  # "/"
        refusal = _target_problem(method, target)
    return refusal


def _field_problem(name: bytes, value: bytes, version: str) -> Refusal | None:
    """Judge one of the fields that may forbid a request by themselves."""
    if name == b"transfer-encoding":
        return _coding_problem(version, value)
    if name == b"host":  # the first is not among these
        return refusals.bad_request("more than one Host")
    return None if value.lower() == b"100-continue" else refusals.EXPECTATION_FAILED


def _host_problem(version: str, host: bytes | None) -> Refusal | None:
    if host is None:
        return refusals.bad_request("no Host") if version == "1.1" else None
    if not _HOST.fullmatch(host):
        return refusals.bad_request("the Host is none")
    if len(SOUND_HOSTS) >= _MAX_HOSTS:
        SOUND_HOSTS.clear()
    SOUND_HOSTS.add(host)
    return None


def _target_problem(method: bytes, target: bytes) -> Refusal | None:
    """Judge the form of a target that is no path (RFC 9112, 3.2)."""
    if target == b"*":
        return None if method == b"OPTIONS" else refusals.bad_request("only OPTIONS can ask for *")
    absolute = _ABSOLUTE.fullmatch(target)
    if absolute is None or not absolute[1] or not _HOST.fullmatch(absolute[1]):
        return refusals.bad_request("the target is neither a path nor an http address")
    return None


def _coding_problem(version: str, value: bytes) -> Refusal | None:
    if version == "1.0":
        return refusals.bad_request("HTTP/1.0 knows no Transfer-Encoding")
    codings = [coding.strip().lower() for coding in value.split(b",")]
    if codings[-1] != b"chunked":
        return refusals.bad_request("without chunked as the last transfer coding the body has no end")
    return refusals.CODING_UNKNOWN if len(codings) > 1 else None


def length_problem(length: int, limit_body: int) -> Refusal | None:
    """Return why a body of this length is refused, if it is."""
    if length > _MAX_LENGTH:
        return refusals.bad_request("the content-length is beyond all bounds")
    return refusals.BODY_TOO_LARGE if limit_body and length > limit_body else None


def split_target(target: bytes) -> tuple[bytes, bytes]:
    """Return path and query of a request target in any of its forms (RFC 9112, 3.2)."""
    if not target.startswith(b"/") and target != b"*":
        # absolute-form, as proxies use it: http://host/path?query
        rest = target.partition(b"://")[2]
        starts = [at for at in (rest.find(b"/"), rest.find(b"?"), rest.find(b"#")) if at != -1]
        target = rest[min(starts) :] if starts else b""
        if not target.startswith(b"/"):
            target = b"/" + target
    target = target.partition(b"#")[0]
    path, _, query = target.partition(b"?")
    return path, query


def with_host_of(target: bytes, fields: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Return the fields with the Host that a target in absolute form names: it counts instead of what Host says (RFC 9112, 3.2.2)."""
    absolute = _ABSOLUTE.fullmatch(target)
    if absolute is None:
        return fields
    return [(b"host", absolute[1]), *(field for field in fields if field[0] != b"host")]
