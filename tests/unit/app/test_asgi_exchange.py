"""The exchange over ASGI: what the server is sent, to the letter."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tamago.app.asgi_exchange import AsgiExchange, has_body, request_target

pytestmark = pytest.mark.anyio


class Server:
    """Hands out what it is given, then that the client left; keeps what it gets."""

    def __init__(self, *messages: dict[str, Any], **scope: Any) -> None:
        self.messages = list(messages)
        self.sent: list[Any] = []
        self.broken = False
        base: dict[str, Any] = {"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": [], "http_version": "1.1"}
        self.exchange = AsgiExchange({**base, **scope}, self.receive, self.send)

    async def receive(self) -> Any:
        return self.messages.pop(0) if self.messages else {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        if self.broken:
            raise OSError("the client left")
        self.sent.append(message)


def part(body: bytes, *, more: bool = False) -> dict[str, Any]:
    return {"type": "http.request", "body": body, "more_body": more}


FIELDS = ((b"content-type", b"text/plain"),)


@pytest.mark.parametrize(
    ("scope", "target"),
    [
        ({"path": "/a b", "raw_path": b"/a%20b", "query_string": b"c=d"}, b"/a%20b?c=d"),
        ({"path": "/a b?/中"}, b"/a%20b%3F/%E4%B8%AD"),
        ({"path": "/root/a", "raw_path": b"/root/a", "root_path": "/root"}, b"/a"),
        ({"path": "/root", "raw_path": b"/root", "root_path": "/root"}, b"/"),
        ({"path": "/a", "root_path": "/root"}, b"/a"),
        ({"path": "/rootless", "root_path": "/root"}, b"/rootless"),
        ({"path": "/ro ot/a", "raw_path": None, "root_path": "/ro ot"}, b"/a"),
    ],
)
def test_the_target_is_that_of_the_request_line_without_the_root_path(scope: dict[str, Any], target: bytes) -> None:
    assert request_target({"query_string": b"", **scope}) == target


@pytest.mark.parametrize(
    ("method", "version", "fields", "has"),
    [
        ("GET", "1.1", [], False),
        ("POST", "1.1", [], False),
        ("POST", "1.1", [(b"content-length", b"0")], False),
        ("POST", "1.1", [(b"content-length", b"1")], True),
        ("GET", "1.1", [(b"transfer-encoding", b"chunked")], True),
        ("POST", "2", [], True),
        ("GET", "2", [], False),
    ],
)
def test_a_request_has_a_body_if_it_says_so(method: str, version: str, fields: list[Any], has: bool) -> None:
    assert has_body(method, version, fields) is has


async def test_the_body_is_read_to_its_end_and_stays_there() -> None:
    exchange = Server(part(b"a", more=True), part(b"", more=True), part(b"b"), headers=[(b"content-length", b"2")]).exchange
    assert [await exchange.read() for _ in range(4)] == [b"a", b"b", b"", b""]


async def test_a_client_that_leaves_in_the_middle_is_an_error() -> None:
    exchange = Server(part(b"a", more=True), headers=[(b"content-length", b"2")]).exchange
    assert await exchange.read() == b"a"
    with pytest.raises(ConnectionError):
        await exchange.read()
    assert exchange.gone


async def test_a_whole_answer_is_a_head_and_a_body_with_its_length() -> None:
    server = Server()
    server.exchange.respond(200, FIELDS, b"hello")
    await server.exchange.finish()
    assert server.sent == [
        {"type": "http.response.start", "status": 200, "headers": [*FIELDS, (b"content-length", b"5")]},
        {"type": "http.response.body", "body": b"hello", "more_body": False},
    ]


@pytest.mark.parametrize(
    ("method", "status", "data", "length", "body"),
    [
        ("HEAD", 200, b"hello", b"5", b""),
        ("HEAD", 200, b"", None, b""),
        ("GET", 200, b"", b"0", b""),
        ("GET", 204, b"", None, b""),
        ("GET", 304, b"x", None, b""),
    ],
)
async def test_an_answer_without_a_body_announces_what_is_right(
    method: str, status: int, data: bytes, length: bytes | None, body: bytes
) -> None:
    server = Server(method=method)
    server.exchange.respond(status, (), data)
    await server.exchange.finish()
    assert dict(server.sent[0]["headers"]).get(b"content-length") == length
    assert server.sent[1]["body"] == body


async def test_pieces_are_sent_when_they_are_drained() -> None:
    server = Server()
    server.exchange.start(200, FIELDS)
    server.exchange.write(b"a", more=True)
    assert server.sent == []
    await server.exchange.drain()
    assert [message["type"] for message in server.sent] == ["http.response.start", "http.response.body"]
    server.exchange.write(b"")
    await server.exchange.finish()
    assert server.sent[0]["headers"] == list(FIELDS)
    assert server.sent[2] == {"type": "http.response.body", "body": b"", "more_body": False}


async def test_an_error_of_the_server_means_that_the_client_left() -> None:
    server = Server()
    server.broken = True
    server.exchange.respond(200, (), b"x")
    await server.exchange.finish()
    assert server.exchange.gone


async def test_an_answer_that_stops_in_the_middle_is_an_error() -> None:
    server = Server()
    server.exchange.start(200, ())
    server.exchange.write(b"half", more=True)
    with pytest.raises(RuntimeError, match="without completing"):
        await server.exchange.finish()
    assert server.sent[1]["body"] == b"half"


def test_the_order_of_an_answer_is_kept() -> None:
    exchange = Server().exchange
    with pytest.raises(RuntimeError, match="start comes before write"):
        exchange.write(b"x")
    exchange.respond(200, (), b"x")
    with pytest.raises(RuntimeError, match="started twice"):
        exchange.start(200, ())
    with pytest.raises(RuntimeError, match="already complete"):
        exchange.write(b"y")


@pytest.mark.parametrize("pathsend", [True, False])
@pytest.mark.parametrize("size", [0, 5, 600_000])
async def test_a_file_is_sent_by_its_path_where_the_server_can(tmp_path: Path, pathsend: bool, size: int) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * size)
    server = Server(extensions={"http.response.pathsend": {}} if pathsend else {})
    server.exchange.start(200, ())
    await server.exchange.send_file(str(path))
    await server.exchange.finish()
    assert dict(server.sent[0]["headers"])[b"content-length"] == b"%d" % size
    if pathsend and size:
        assert server.sent[1:] == [{"type": "http.response.pathsend", "path": str(path)}]
    else:
        assert b"".join(message["body"] for message in server.sent[1:]) == b"x" * size
        assert server.sent[-1]["more_body"] is False


async def test_a_file_is_not_sent_for_head(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"12345")
    server = Server(method="HEAD")
    server.exchange.start(200, ())
    await server.exchange.send_file(str(path))
    await server.exchange.finish()
    assert (dict(server.sent[0]["headers"])[b"content-length"], server.sent[1]["body"]) == (b"5", b"")


async def test_a_file_that_is_not_there_is_an_error_before_anything_is_sent(tmp_path: Path) -> None:
    server = Server()
    server.exchange.start(200, ())
    with pytest.raises(FileNotFoundError):
        await server.exchange.send_file(str(tmp_path / "none"))
    assert server.sent == []
