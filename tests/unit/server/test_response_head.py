from __future__ import annotations

import pytest

from tamago.server.response_head import SAID_CLOSE, SAID_DATE, SAID_SERVER, _heads, early_hints, encode, response_head

DATE = b"date: now\r\n"


def test_a_head_is_status_fields_server_date_and_framing() -> None:
    head = response_head(200, [(b"x-a", b"1")])
    assert (
        encode(head, DATE, b"content-length: 3\r\n")
        == b"HTTP/1.1 200 OK\r\nx-a: 1\r\nserver: tamago\r\ndate: now\r\ncontent-length: 3\r\n\r\n"
    )


@pytest.mark.parametrize(
    ("status", "line"), [(404, b"HTTP/1.1 404 Not Found\r\n"), (299, b"HTTP/1.1 299 \r\n"), (999, b"HTTP/1.1 999 \r\n")]
)
def test_every_status_has_a_line(status: int, line: bytes) -> None:
    assert response_head(status, []) == (status, line, None, 0)


@pytest.mark.parametrize("status", [0, 99, 100, 101, 199, 1000, -1])
def test_a_status_that_cannot_end_a_request_is_refused(status: int) -> None:
    with pytest.raises(ValueError, match="status"):
        response_head(status, [])


@pytest.mark.parametrize(
    "field",
    [(b"a", b"1\r\n"), (b"a", b"1\n"), (b"a", b"\r"), (b"a\r\nb", b"1"), (b"a", b"\0"), (b"a\n", b"1")],
)
def test_no_field_can_start_another_line(field: tuple[bytes, bytes]) -> None:
    with pytest.raises(ValueError, match=r"line break|name of a response"):
        response_head(200, [field])


def test_framing_is_taken_out_and_noted() -> None:
    head = response_head(200, [(b"Content-Length", b"12"), (b"Transfer-Encoding", b"chunked"), (b"Connection", b"close"), (b"x", b"y")])
    assert head == (200, b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\nx: y\r\n", 12, SAID_CLOSE)


@pytest.mark.parametrize("value", [b"", b"-1", b"+1", b"1, 1", b" 1", b"0x1"])
def test_a_length_must_be_a_number(value: bytes) -> None:
    with pytest.raises(ValueError, match="content-length"):
        response_head(200, [(b"content-length", value)])


def test_a_length_is_given_once() -> None:
    with pytest.raises(ValueError, match="content-length"):
        response_head(200, [(b"content-length", b"1"), (b"content-length", b"1")])


def test_other_connection_options_stay() -> None:
    head = response_head(426, [(b"connection", b"upgrade"), (b"upgrade", b"websocket")])
    assert head[1].endswith(b"connection: upgrade\r\nupgrade: websocket\r\n")
    assert head[3] == 0


def test_no_content_has_no_length() -> None:
    assert response_head(204, [(b"content-length", b"0")])[1] == b"HTTP/1.1 204 No Content\r\n"


def test_date_and_server_of_the_application_are_noted() -> None:
    head = response_head(200, [(b"Date", b"today"), (b"Server", b"mine")])
    assert head[3] == SAID_DATE | SAID_SERVER
    assert encode(head, DATE, b"") == b"HTTP/1.1 200 OK\r\nDate: today\r\nServer: mine\r\n\r\n"


@pytest.mark.parametrize("name", [b"", b"a b", b"a:", "ä".encode()])
def test_a_name_must_be_a_token(name: bytes) -> None:
    with pytest.raises(ValueError, match="name of a response header"):
        response_head(200, [(name, b"1")])


def test_made_up_names_are_not_kept_for_ever() -> None:
    for n in range(5_000):
        response_head(200, [(b"x-%d" % n, b"1")])
    assert response_head(200, [(b"x-4999", b"1")])[1].endswith(b"x-4999: 1\r\n")


def test_fields_may_be_lists_and_come_from_a_generator() -> None:
    head = response_head(200, ([name, b"1"] for name in (b"a", b"content-length")))  # type: ignore[misc]
    assert head == response_head(200, [(b"a", b"1"), (b"content-length", b"1")])


def test_heads_that_differ_in_anything_stay_apart_and_few_are_kept() -> None:
    for number in range(2000):
        value = b"%d" % number
        assert response_head(200 + number % 100, [(b"etag", value)])[1].endswith(b"etag: " + value + b"\r\n")
    assert len(_heads) <= 512
    response_head(200, [(b"x-long", b"x" * 2000)])
    assert all(len(head[1]) <= 1024 for head in _heads.values())


def test_early_hints_are_an_interim_answer_with_links() -> None:
    assert early_hints([b"</a>", b"</b>"]) == b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\nlink: </b>\r\n\r\n"
    assert early_hints([]) == b""


@pytest.mark.parametrize("link", [b"</a>\r\nx: y", b"\n", b"\r", b"\0"])
def test_an_early_hint_is_one_line(link: bytes) -> None:
    with pytest.raises(ValueError, match="early hint"):
        early_hints([b"</a>", link])
