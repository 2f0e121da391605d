"""Bytes that two parsers could read in two ways: each is refused and ends the connection, or is read in the one way the standard knows.

The tables say what a request is answered; whatever stands behind a refused one is never answered.
"""

from __future__ import annotations

import asyncio

import pytest
from tests.web.apps import answer, no_lifespan, read_body
from tests.web.conftest import Run
from tests.web.edge import Client, Served, request, serving

from tamago.server.asgi import Receive, Scope, Send


def get(*lines: bytes, start: bytes = b"GET / HTTP/1.1", host: bytes = b"Host: x") -> bytes:
    return b"\r\n".join([start, *([host] if host else []), *lines, b"", b""])


def post(*lines: bytes, body: bytes = b"abc") -> bytes:
    return get(*lines, start=b"POST / HTTP/1.1") + body


def coded(coding: bytes) -> bytes:
    return post(coding, body=b"0\r\n\r\n")


def sized(length: bytes) -> bytes:
    return post(b"Content-Length:" + length)


def chunked(body: bytes) -> bytes:
    return post(b"Transfer-Encoding: chunked", body=body)


REFUSED: dict[str, tuple[bytes, int]] = {
    # ── two lengths, or one that can be read in two ways ─────────────────────────────────────────────────────────────
    "both lengths": (coded(b"Content-Length: 5\r\nTransfer-Encoding: chunked"), 400),
    "both lengths, the other way round": (coded(b"Transfer-Encoding: chunked\r\nContent-Length: 5"), 400),
    "a length beside an unknown coding": (coded(b"Content-Length: 5\r\nTransfer-Encoding: xchunked"), 400),
    "a length beside identity": (coded(b"Transfer-Encoding: identity\r\nContent-Length: 5"), 400),
    "two lengths": (sized(b"3\r\nContent-Length: 4"), 400),
    "two equal lengths": (sized(b"3\r\nContent-Length: 3"), 400),
    "a length and none": (sized(b"0\r\nContent-Length: 3"), 400),
    "a list of lengths": (sized(b"3, 3"), 400),
    "a list of lengths without a space": (sized(b"3,3"), 400),
    "a length with a plus": (sized(b"+3"), 400),
    "a negative length": (sized(b"-3"), 400),
    "a hexadecimal length": (sized(b"0x3"), 400),
    "a length with letters": (sized(b"3a"), 400),
    "an empty length": (sized(b""), 400),
    "two numbers for a length": (sized(b"3 3"), 400),
    "a length with a NUL": (sized(b"3\0"), 400),
    "a length with an underscore": (sized(b"3_0"), 400),
    "a length with a semicolon": (sized(b"3;"), 400),
    "a quoted length": (sized(b'"3"'), 400),
    "a length with a fraction": (sized(b"3.0"), 400),
    "a length with an exponent": (sized(b"1e1"), 400),
    "a length with another alphabet's digit": (sized(b"\xb2"), 400),
    "a length behind a vertical tab": (sized(b"\x0b3"), 400),
    "a folded length": (sized(b"3\r\n 4"), 400),
    "a length of 2**63": (sized(b"9223372036854775808"), 400),
    "a length of 2**64": (sized(b"18446744073709551616"), 400),
    "a length of 2**64 + 3": (sized(b"18446744073709551619"), 400),
    "a length without end": (sized(b"9" * 100), 400),
    # ── codings ──────────────────────────────────────────────────────────────────────────────────────────────────────
    "chunked twice": (coded(b"Transfer-Encoding: chunked, chunked"), 400),
    "chunked twice, in two fields": (coded(b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"), 400),
    "chunked, then an empty field": (coded(b"Transfer-Encoding: chunked\r\nTransfer-Encoding:"), 400),
    "chunked, then another": (coded(b"Transfer-Encoding: chunked\r\nTransfer-Encoding: x"), 400),
    "gzip, then chunked in a field of its own": (coded(b"Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked"), 400),
    "a coding that only looks like chunked": (coded(b"Transfer-Encoding: xchunked"), 400),
    "chunked not last": (coded(b"Transfer-Encoding: chunked, identity"), 400),
    "identity": (coded(b"Transfer-Encoding: identity"), 400),
    "identity before chunked": (coded(b"Transfer-Encoding: identity, chunked"), 501),
    "gzip before chunked": (coded(b"Transfer-Encoding: gzip, chunked"), 501),
    "gzip": (coded(b"Transfer-Encoding: gzip"), 400),
    "no coding": (coded(b"Transfer-Encoding:"), 400),
    "chunked with a parameter": (coded(b"Transfer-Encoding: chunked;q=1"), 400),
    "chunked in quotes": (coded(b'Transfer-Encoding: "chunked"'), 400),
    "chunked with a comma behind it": (coded(b"Transfer-Encoding: chunked,"), 400),
    "chunked with a comma before it": (coded(b"Transfer-Encoding: ,chunked"), 501),
    "chunked behind a vertical tab": (coded(b"Transfer-Encoding: \x0bchunked"), 400),
    "chunked behind a form feed": (coded(b"Transfer-Encoding: \x0cchunked"), 400),
    "chunked behind a no-break space": (coded(b"Transfer-Encoding: \xa0chunked"), 400),
    "chunked with a NUL": (coded(b"Transfer-Encoding: chunked\0"), 400),
    "a space before the colon of a coding": (coded(b"Transfer-Encoding : chunked"), 400),
    "a tab before the colon of a coding": (coded(b"Transfer-Encoding\t: chunked"), 400),
    "a folded coding": (coded(b"Transfer-Encoding:\r\n chunked"), 400),
    "a NUL before the name of a coding": (coded(b"\0Transfer-Encoding: chunked"), 400),
    "a carriage return before the name of a coding": (coded(b"X: y\r\n\rTransfer-Encoding: chunked"), 400),
    "a coding in HTTP/1.0": (get(b"Transfer-Encoding: chunked", start=b"POST / HTTP/1.0") + b"0\r\n\r\n", 400),
    # ── chunks ───────────────────────────────────────────────────────────────────────────────────────────────────────
    "a chunk size with 0x": (chunked(b"0x3\r\nabc\r\n0\r\n\r\n"), 400),
    "a negative chunk size": (chunked(b"-3\r\nabc\r\n0\r\n\r\n"), 400),
    "a chunk size with a plus": (chunked(b"+3\r\nabc\r\n0\r\n\r\n"), 400),
    "a space before a chunk size": (chunked(b" 3\r\nabc\r\n0\r\n\r\n"), 400),
    "a space behind a chunk size": (chunked(b"3 \r\nabc\r\n0\r\n\r\n"), 400),
    "a tab behind a chunk size": (chunked(b"3\t\r\nabc\r\n0\r\n\r\n"), 400),
    "a space before a chunk extension": (chunked(b"3 ;a=b\r\nabc\r\n0\r\n\r\n"), 400),
    "no chunk size": (chunked(b"\r\nabc\r\n0\r\n\r\n"), 400),
    "a chunk size that is no number": (chunked(b"g\r\n"), 400),
    "a chunk size of 2**64": (chunked(b"10000000000000000\r\nabc\r\n0\r\n\r\n"), 400),
    "a chunk size of 2**64 + 3": (chunked(b"10000000000000003\r\nabc\r\n0\r\n\r\n"), 400),
    "a chunk without a line end": (chunked(b"3\r\nabc0\r\n\r\n"), 400),
    "a chunk that is too long": (chunked(b"3\r\nabcd\r\n0\r\n\r\n"), 400),
    "a chunk that ends in a line feed": (chunked(b"3\r\nabc\n0\r\n\r\n"), 400),
    "a chunk that ends in a carriage return": (chunked(b"3\r\nabc\r0\r\n\r\n"), 400),
    "a chunk size that ends in a line feed": (chunked(b"3\nabc\r\n0\r\n\r\n"), 400),
    "a chunk size that ends in a carriage return": (chunked(b"3\rabc\r\n0\r\n\r\n"), 400),
    "an empty chunk extension": (chunked(b"3;\r\nabc\r\n0\r\n\r\n"), 400),
    "a chunk extension that ends in a line feed": (chunked(b"3;a\nabc\r\n0\r\n\r\n"), 400),
    "a carriage return in a chunk extension": (chunked(b"3;a=b\rX\r\nabc\r\n0\r\n\r\n"), 400),
    "a NUL in a chunk extension": (chunked(b"3;\0\r\nabc\r\n0\r\n\r\n"), 400),
    "a chunk extension with an open quote": (chunked(b'3;a="b\r\nabc\r\n0\r\n\r\n'), 400),
    "a last chunk that ends in line feeds": (chunked(b"3\r\nabc\r\n0\n\n"), 400),
    "a trailer section that ends in a line feed": (chunked(b"3\r\nabc\r\n0\r\n\n"), 400),
    "a trailer field that ends in a line feed": (chunked(b"3\r\nabc\r\n0\r\nX: y\n\r\n"), 400),
    "a folded trailer": (chunked(b"3\r\nabc\r\n0\r\n X: y\r\n\r\n"), 400),
    "a trailer that is no field": (chunked(b"3\r\nabc\r\n0\r\nX y\r\n\r\n"), 400),
    "a length in the trailers": (chunked(b"3\r\nabc\r\n0\r\nContent-Length: 5\r\n\r\n"), 400),
    "a coding in the trailers": (chunked(b"3\r\nabc\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n"), 400),
    # ── field lines ──────────────────────────────────────────────────────────────────────────────────────────────────
    "obs-fold": (get(b"X: a\r\n b"), 400),
    "obs-fold of an empty value": (get(b"X:\r\n b"), 400),
    "a bare line feed between fields": (get(b"X: a\nY: b"), 400),
    "bare line feeds everywhere": (get(b"").replace(b"\r\n", b"\n"), 400),
    "a bare carriage return in a value": (get(b"X: a\rb"), 400),
    "a bare carriage return between fields": (get(b"X: a\rY: b"), 400),
    "two carriage returns": (get(b"X: a\r"), 400),
    "a NUL in a value": (get(b"X: \0"), 400),
    "a control character in a value": (get(b"X: \x01"), 400),
    "DEL in a value": (get(b"X: \x7f"), 400),
    "a vertical tab in a value": (get(b"X: a\x0bb"), 400),
    "a NUL in a name": (get(b"X\0: y"), 400),
    "a control character in a name": (get(b"X\x01: y"), 400),
    "a name that is not ASCII": (get(b"X\xff: y"), 400),
    "a space in a name": (get(b"X y: z"), 400),
    "a space before a colon": (get(b"X : y"), 400),
    "a space before a field": (get(b" X: y"), 400),
    "a space before the first field": (get(host=b" Host: x"), 400),
    "a name in quotes": (get(b'"X": y'), 400),
    "a parenthesis in a name": (get(b"X(: y"), 400),
    "braces in a name": (get(b"X{}: y"), 400),
    "a slash in a name": (get(b"X/: y"), 400),
    "no name": (get(b": y"), 400),
    "no colon": (get(b"X"), 400),
    # ── for whom it is ───────────────────────────────────────────────────────────────────────────────────────────────
    "no host": (get(host=b""), 400),
    "two hosts": (get(b"Host: y"), 400),
    "two equal hosts": (get(b"Host: x"), 400),
    "two hosts in HTTP/1.0": (get(b"Host: y", start=b"GET / HTTP/1.0"), 400),
    "a host with a space": (get(host=b"Host: a b"), 400),
    "a host with a path": (get(host=b"Host: a/b"), 400),
    "a host with a user": (get(host=b"Host: a@b"), 400),
    "a host with a backslash": (get(host=b"Host: a\\b"), 400),
    "a host with a query": (get(host=b"Host: a?b"), 400),
    "a host with a fragment": (get(host=b"Host: a#b"), 400),
    "a host that is not ASCII": (get(host=b"Host: \xff"), 400),
    "a host with a quote": (get(host=b'Host: a"'), 400),
    "a host in angle brackets": (get(host=b"Host: <a>"), 400),
    "a host that is an address": (get(host=b"Host: http://a"), 400),
    "a port that is no number": (get(host=b"Host: a:b"), 400),
    "an IPv6 host without brackets": (get(host=b"Host: ::1"), 400),
    "an IPv6 host with one bracket": (get(host=b"Host: [::1"), 400),
    "a user in the target": (get(start=b"GET http://u@x/ HTTP/1.1"), 400),
    "no host in the target": (get(start=b"GET http:///a HTTP/1.1"), 400),
    "another scheme in the target": (get(start=b"GET ftp://x/ HTTP/1.1"), 400),
    # ── the request line ─────────────────────────────────────────────────────────────────────────────────────────────
    "a target without a slash": (get(start=b"GET a HTTP/1.1"), 400),
    "a target that is a query": (get(start=b"GET ?a HTTP/1.1"), 400),
    "a target that is a fragment": (get(start=b"GET #a HTTP/1.1"), 400),
    "an asterisk for GET": (get(start=b"GET * HTTP/1.1"), 400),
    "an asterisk and more": (get(start=b"OPTIONS *a HTTP/1.1"), 400),
    "a host and port for GET": (get(start=b"GET x:80 HTTP/1.1"), 400),
    "a space in the target": (get(start=b"GET /a b HTTP/1.1"), 400),
    "no target": (get(start=b"GET HTTP/1.1"), 400),
    "an empty target": (get(start=b"GET  HTTP/1.1"), 400),
    "a target that is not ASCII": (get(start=b"GET /\xff HTTP/1.1"), 400),
    "a NUL in the target": (get(start=b"GET /\0 HTTP/1.1"), 400),
    "a control character in the target": (get(start=b"GET /\x01 HTTP/1.1"), 400),
    "DEL in the target": (get(start=b"GET /\x7f HTTP/1.1"), 400),
    "a tab behind the target": (get(start=b"GET /\tHTTP/1.1"), 400),
    "a tab behind the method": (get(start=b"GET\t/ HTTP/1.1"), 400),
    "a space before the method": (get(start=b" GET / HTTP/1.1"), 400),
    "a space behind the version": (get(start=b"GET / HTTP/1.1 "), 400),
    "a method in lower case": (get(start=b"get / HTTP/1.1"), 400),
    "a method in mixed case": (get(start=b"Get / HTTP/1.1"), 400),
    "a NUL in the method": (get(start=b"G\0T / HTTP/1.1"), 400),
    "an unknown method": (get(start=b"FETCH / HTTP/1.1"), 400),
    "CONNECT": (get(start=b"CONNECT x:80 HTTP/1.1"), 501),
    "CONNECT to a path": (get(start=b"CONNECT / HTTP/1.1"), 501),
    "a request line that ends in a line feed": (b"GET / HTTP/1.1\nHost: x\r\n\r\n", 400),
    "a request line that ends in a carriage return": (b"GET / HTTP/1.1\rHost: x\r\n\r\n", 400),
    # ── other versions and protocols ─────────────────────────────────────────────────────────────────────────────────
    "HTTP/0.9": (b"GET /\r\n\r\n", 505),
    "HTTP/0.9, by name": (get(start=b"GET / HTTP/0.9"), 505),
    "HTTP/1.2": (get(start=b"GET / HTTP/1.2"), 400),
    "HTTP/1.10": (get(start=b"GET / HTTP/1.10"), 400),
    "HTTP/01.1": (get(start=b"GET / HTTP/01.1"), 400),
    "HTTP/11": (get(start=b"GET / HTTP/11"), 400),
    "HTTP in lower case": (get(start=b"GET / http/1.1"), 400),
    "something behind the version": (get(start=b"GET / HTTP/1.1x"), 400),
    "HTTP/2": (get(start=b"GET / HTTP/2.0"), 505),
    "HTTP/2, without a point": (get(start=b"GET / HTTP/2"), 505),
    "HTTP/3": (get(start=b"GET / HTTP/3.0"), 505),
    "the preface of HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0", 505),
    "what is like the preface of HTTP/2": (get(start=b"PRI / HTTP/1.1"), 400),
    "RTSP": (get(start=b"DESCRIBE / RTSP/1.0"), 501),
    "Icecast": (get(start=b"SOURCE / ICE/1.0"), 501),
    "TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
    "an endless line of line breaks": (b"\r\n" * 50_000, 431),
    # ── expectations ─────────────────────────────────────────────────────────────────────────────────────────────────
    "an unknown expectation": (post(b"Expect: tea", b"Content-Length: 3"), 417),
    "a known and an unknown expectation": (post(b"Expect: 100-continue", b"Expect: tea", b"Content-Length: 3"), 417),
    "an empty expectation": (post(b"Expect:", b"Content-Length: 3"), 417),
}

READ: dict[str, tuple[bytes, bytes]] = {
    "a plain request": (get(), b"GET / "),
    "a length with spaces around it": (sized(b" \t3 "), b"POST / abc"),
    "a length with leading zeros": (sized(b"003"), b"POST / abc"),
    "chunked in capitals": (coded(b"Transfer-Encoding:\tCHUNKED "), b"POST / "),
    "a coding spelt with an underscore is no coding": (post(b"Transfer_Encoding: chunked", b"Content-Length: 3"), b"POST / abc"),
    "TE is no coding": (post(b"TE: chunked", b"Content-Length: 3"), b"POST / abc"),
    "chunks": (chunked(b"3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n"), b"POST / abcd"),
    "a chunk size with leading zeros": (chunked(b"0" * 30 + b"3\r\nabc\r\n00\r\n\r\n"), b"POST / abc"),
    "a chunk extension": (chunked(b'3;a="b;c";d\r\nabc\r\n0;e=f\r\n\r\n'), b"POST / abc"),
    "a trailer": (chunked(b"3\r\nabc\r\n0\r\nHost: evil\r\nX: y\r\n\r\n"), b"POST / abc"),
    "an upgrade in the trailers": (chunked(b"3\r\nabc\r\n0\r\nConnection: keep-alive\r\nUpgrade: websocket\r\n\r\n"), b"POST / abc"),
    "a coding named in Connection": (coded(b"Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked"), b"POST / "),
    "a value that is not ASCII": (get(b"X: \xff"), b"GET / "),
    "a tab in a value": (get(b"X: a\tb"), b"GET / "),
    "no value": (get(b"X:"), b"GET / "),
    "an empty host": (get(host=b"Host:"), b"GET / "),
    "an IPv6 host": (get(host=b"Host: [::1]:80"), b"GET / "),
    "an absolute target": (get(start=b"GET HTTP://X:80/a?b HTTP/1.1"), b"GET /a "),
    "another host in the target, which counts": (get(start=b"GET http://other/ HTTP/1.1"), b"GET / "),
    "an absolute target without a path": (get(start=b"OPTIONS http://x HTTP/1.1"), b"OPTIONS / "),
    "a target with two slashes": (get(start=b"GET //evil/a HTTP/1.1"), b"GET //evil/a "),
    "an asterisk for OPTIONS": (get(start=b"OPTIONS * HTTP/1.1"), b"OPTIONS * "),
    "more spaces in the request line": (get(start=b"GET   /  HTTP/1.1"), b"GET / "),
    "a fragment": (get(start=b"GET /a#b HTTP/1.1"), b"GET /a "),
    "TRACE": (get(start=b"TRACE / HTTP/1.1"), b"TRACE / "),
    "a few line breaks before a request": (b"\r\n\r\n" + get(), b"GET / "),
    "HTTP/1.0 that stays": (get(b"Connection: keep-alive", start=b"GET / HTTP/1.0", host=b""), b"GET / "),
    "an upgrade to HTTP/2": (get(b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: a"), b"GET / "),
    "something that only looks like close": (get(b"Connection: xclose, close-x"), b"GET / "),
}

CLOSING: dict[str, bytes] = {
    "close": get(b"Connection: close"),
    "close among others": get(b"Connection: keep-alive, CLOSE"),
    "close and keep-alive": get(b"Connection: close", b"Connection: keep-alive"),
    "keep-alive and close": get(b"Connection: keep-alive", b"Connection: close"),
    "close in the trailers": chunked(b"3\r\nabc\r\n0\r\nConnection: close\r\n\r\n"),
    "HTTP/1.0": get(start=b"GET / HTTP/1.0", host=b""),
}

SMUGGLED = request("GET", "/smuggled")


class Witness:
    """Echoes method, path and body, and knows for what."""

    def __init__(self) -> None:
        self.paths: list[str] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await no_lifespan(scope)
        self.paths.append(scope["path"])
        body = await read_body(receive)
        await answer(send, b"%b %b %b" % (scope["method"].encode(), scope["raw_path"], body))


async def ask(served: Served, data: bytes) -> Client:
    client = await served.connect()
    await client.send(data, SMUGGLED)
    return client


async def last(served: Served, data: bytes, status: int) -> bool:
    client = await ask(served, data)
    reply = await client.reply()
    ends = (reply.status, reply["connection"]) == (status, "close") and await client.rest() == b""
    await client.close()
    return ends


async def read(served: Served, data: bytes, expected: bytes) -> bool:
    client = await ask(served, data)
    try:
        return [(reply.status, reply.body) for reply in (await client.reply(), await client.reply())] == [
            (200, expected),
            (200, b"GET /smuggled "),
        ]
    except asyncio.IncompleteReadError:
        return False
    finally:
        await client.close()


@pytest.mark.slow
def test_bytes_that_can_be_read_in_two_ways_are_refused(run: Run) -> None:
    async def main() -> None:
        witness = Witness()
        async with serving(witness) as served:
            wrong = [name for name, (data, status) in REFUSED.items() if not await last(served, data, status)]
        assert wrong == []
        assert "/smuggled" not in witness.paths

    run(main())


def test_bytes_that_can_be_read_in_one_way_are_read_in_it(run: Run) -> None:
    async def main() -> None:
        async with serving(Witness()) as served:
            assert [name for name, (data, expected) in READ.items() if not await read(served, data, expected)] == []

    run(main())


def test_nothing_is_answered_after_a_request_that_closes_whatever_way_it_says_so(run: Run) -> None:
    async def main() -> None:
        witness = Witness()
        async with serving(witness) as served:
            assert [name for name, data in CLOSING.items() if not await last(served, data, 200)] == []
        assert "/smuggled" not in witness.paths

    run(main())


def test_hundreds_of_unknown_upgrades_in_one_packet_are_no_recursion(run: Run) -> None:
    async def main() -> None:
        async with serving(Witness()) as served:
            client = await served.connect()
            await client.send(get(b"Connection:upgrade", b"Upgrade:a") * 300)
            assert {(await client.reply()).status for _ in range(300)} == {200}

    run(main())
