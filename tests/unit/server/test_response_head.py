from __future__ import annotations

import pytest

from tamago.server.response_head import ResponseHead

DATE = b"date: now\r\n"


def test_a_head_is_status_fields_server_date_and_framing() -> None:
    head = ResponseHead(200, [(b"x-a", b"1")])
    assert (
        head.encode(DATE, b"content-length: 3\r\n")
        == b"HTTP/1.1 200 OK\r\nx-a: 1\r\nserver: tamago\r\ndate: now\r\ncontent-length: 3\r\n\r\n"
    )


@pytest.mark.parametrize(
    ("status", "line"), [(404, b"HTTP/1.1 404 Not Found\r\n"), (299, b"HTTP/1.1 299 \r\n"), (999, b"HTTP/1.1 999 \r\n")]
)
def test_every_status_has_a_line(status: int, line: bytes) -> None:
    assert ResponseHead(status, []).block == line


@pytest.mark.parametrize("status", [0, 99, 100, 101, 199, 1000, -1])
def test_a_status_that_cannot_end_a_request_is_refused(status: int) -> None:
    with pytest.raises(ValueError, match="status"):
        ResponseHead(status, [])


@pytest.mark.parametrize(
    "field",
    [(b"a", b"1\r\n"), (b"a", b"1\n"), (b"a", b"\r"), (b"a\r\nb", b"1"), (b"a", b"\0"), (b"a\n", b"1")],
)
def test_no_field_can_start_another_line(field: tuple[bytes, bytes]) -> None:
    with pytest.raises(ValueError, match="line break"):
        ResponseHead(200, [field])


def test_framing_is_taken_out_and_noted() -> None:
    head = ResponseHead(200, [(b"Content-Length", b"12"), (b"Transfer-Encoding", b"chunked"), (b"Connection", b"close"), (b"x", b"y")])
    assert (head.length, head.wants_close, head.block) == (12, True, b"HTTP/1.1 200 OK\r\nx: y\r\n")


@pytest.mark.parametrize("value", [b"", b"-1", b"+1", b"1, 1", b" 1", b"0x1"])
def test_a_length_must_be_a_number(value: bytes) -> None:
    with pytest.raises(ValueError, match="content-length"):
        ResponseHead(200, [(b"content-length", value)])


def test_a_length_is_given_once() -> None:
    with pytest.raises(ValueError, match="content-length"):
        ResponseHead(200, [(b"content-length", b"1"), (b"content-length", b"1")])


def test_other_connection_options_stay() -> None:
    head = ResponseHead(426, [(b"connection", b"upgrade"), (b"upgrade", b"websocket")])
    assert head.block.endswith(b"connection: upgrade\r\nupgrade: websocket\r\n")
    assert not head.wants_close
