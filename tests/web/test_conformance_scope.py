"""A bare ASGI application is told the same by tamago and by uvicorn, message by message."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from tests.web.apps import answer, no_lifespan
from tests.web.conformance import Sites, Watch
from tests.web.edge import request

from tamago.server.asgi import Receive, Scope, Send


def make_app(_: Watch) -> Any:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        """Answer with the scope, as far as it does not depend on addresses, and with what was received."""
        await no_lifespan(scope)
        told = {key: repr(scope[key]) for key in FIELDS}
        body, more = b"", True
        while more:
            message = await receive()
            assert message["type"] == "http.request"
            body, more = body + message["body"], message["more_body"]
        data = json.dumps({**told, "body": repr(body)}).encode()
        await answer(send, data, fields=[(b"content-length", b"%d" % len(data)), (b"connection", b"close")])

    return app


FIELDS = ("type", "http_version", "method", "scheme", "path", "raw_path", "query_string", "root_path", "headers")

REQUESTS = {
    "plain": request("GET", "/"),
    "a query": request("GET", "/a/b?c=d&e=%20+&?"),
    "an empty query": request("GET", "/a?"),
    "percent-encoded": request("GET", "/%41%c3%a9%2F%25/..//./%00"),
    "not UTF-8": request("GET", "/%ff%fe"),
    "half an escape": request("GET", "/%4/%zz"),
    "plus, semicolon, brackets": request("GET", "/a+b;c=[1]?d=[2]"),
    "two slashes": request("GET", "//a//b"),
    "fields": request("GET", "/", "X-UPPER: Value", "x-two: 1", "X-Two: 2", "X-Empty:", "X-Space: \t a  b"),
    "cookies": request("GET", "/", "Cookie: a=b; c=d", "Cookie: e=f"),
    "not ASCII": "GET / HTTP/1.1\r\nHost: x\r\nX-A: é\r\n\r\n".encode(),
    "a body": request("POST", "/", body=b"abc"),
    "chunks": b"PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n2;x=y\r\nbc\r\n0\r\n\r\n",
    "a method of WebDAV": request("PROPFIND", "/"),
    "options for all": request("OPTIONS", "*"),
    "HTTP/1.0": b"GET /a HTTP/1.0\r\nHost: x\r\n\r\n",
    "expecting 100": b"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nab",
}


@pytest.fixture(scope="module")
def sites() -> Iterator[Sites]:
    sites = Sites(make_app)
    yield sites
    sites.close()


@pytest.mark.parametrize("data", REQUESTS.values(), ids=REQUESTS.keys())
def test_the_application_is_told_the_same(sites: Sites, data: bytes) -> None:
    ours, theirs = (told(sites[server].exchange(data)) for server in ("tamago", "uvicorn"))
    assert ours == theirs


def told(answer: bytes) -> dict[str, str]:
    """Return what the application was told, from the last of the answers."""
    head, _, body = answer.rpartition(b"\r\n\r\n")
    assert b"HTTP/1.1 200 OK" in head
    found: dict[str, str] = json.loads(body)
    return found
