"""Judges the head of a request: which version, how the body travels, and whether anything about it is ambiguous. Pure.

llhttp has already refused what no two parsers agree on (both lengths, two lengths, folded lines, bare line feeds, space before a
colon); what is left here is what it lets pass.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from tamago.server import refusal as refusals
from tamago.server.refusal import Refusal

# Fields that change how a request is read. Host is counted by the connection; it is in every request.
SPECIAL = frozenset({b"content-length", b"transfer-encoding", b"connection", b"expect", b"upgrade"})


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestHead:
    """What the special fields of one request mean."""

    version: str
    length: int  # of the body; -1: chunked
    expects_continue: bool = False
    upgrade: bytes = b""


def judge(
    *, method: bytes, version: str, hosts: int, special: list[tuple[bytes, bytes]], limit_body: int, upgrades: bool
) -> RequestHead | Refusal:
    """Return what the head means, or why it is refused. `hosts` counts the Host fields, `special` are fields in SPECIAL."""
    refusal = _host_problem(version, hosts) or _not_offered(method, special) or _coding_problem(version, special)
    if refusal is not None:
        return refusal
    length, expects_continue, upgrade = 0, False, b""
    for name, value in special:
        if name == b"content-length":
            length = int(value)  # llhttp lets only digits pass
        elif name == b"transfer-encoding":
            length = -1
        elif name == b"expect":
            expects_continue = version == "1.1"
        elif name == b"upgrade" and upgrades:
            upgrade = value.lower()
    if limit_body and length > limit_body:
        return refusals.BODY_TOO_LARGE
    return RequestHead(version=version, length=length, expects_continue=expects_continue and length != 0, upgrade=upgrade)


def _host_problem(version: str, hosts: int) -> Refusal | None:
    if version not in {"1.1", "1.0"}:
        return refusals.VERSION_NOT_SUPPORTED
    if hosts > 1:
        return refusals.bad_request("more than one Host")
    if hosts == 0 and version == "1.1":
        return refusals.bad_request("no Host")
    return None


def _not_offered(method: bytes, special: list[tuple[bytes, bytes]]) -> Refusal | None:
    if method == b"CONNECT":
        return refusals.NO_TUNNELS
    if any(name == b"expect" and value.lower() != b"100-continue" for name, value in special):
        return refusals.EXPECTATION_FAILED
    return None


def _coding_problem(version: str, special: list[tuple[bytes, bytes]]) -> Refusal | None:
    for name, value in special:
        if name != b"transfer-encoding":
            continue
        if version == "1.0":
            return refusals.bad_request("HTTP/1.0 knows no Transfer-Encoding")
        codings = [coding.strip().lower() for coding in value.split(b",")]
        if codings[-1] != b"chunked":
            return refusals.bad_request("without chunked as the last transfer coding the body has no end")
        if len(codings) > 1:
            return refusals.CODING_UNKNOWN
    return None


def split_target(target: bytes) -> tuple[bytes, bytes]:
    """Return path and query of a request target in any of its forms (RFC 9112, 3.2)."""
    if not target.startswith(b"/") and target != b"*":
        # absolute-form, as proxies use it: http://host/path?query
        rest = target.partition(b"://")[2]
        starts = [at for at in (rest.find(b"/"), rest.find(b"?")) if at != -1]
        target = rest[min(starts) :] if starts else b""
        if not target.startswith(b"/"):
            target = b"/" + target
    target = target.partition(b"#")[0]
    path, _, query = target.partition(b"?")
    return path, query


def with_host_of(target: bytes, fields: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Return the fields with the Host that a target in absolute form names, which counts instead of what Host says (RFC 9112, 3.2.2)."""
    if target.startswith(b"/") or target == b"*":
        return fields
    host = re.split(rb"[/?#]", target.partition(b"://")[2], maxsplit=1)[0].rpartition(b"@")[2]
    if not host:
        return fields
    return [(b"host", host), *(field for field in fields if field[0] != b"host")]
