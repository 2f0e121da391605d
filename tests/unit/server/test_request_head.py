from __future__ import annotations

import pytest

from tamago.server.refusal import Refusal
from tamago.server.request_head import RequestHead, judge, split_target, with_host_of


def judged(*special: tuple[bytes, bytes], version: str = "1.1", hosts: int = 1, limit_body: int = 0) -> RequestHead | Refusal:
    return judge(method=b"POST", version=version, hosts=hosts, special=list(special), limit_body=limit_body, upgrades=False)


def test_the_length_of_a_body_is_its_content_length() -> None:
    assert judged((b"content-length", b"12")) == RequestHead(version="1.1", length=12)


def test_a_chunked_body_has_no_length() -> None:
    assert judged((b"transfer-encoding", b"Chunked")) == RequestHead(version="1.1", length=-1)


def test_only_a_body_can_be_expected() -> None:
    expect = (b"expect", b"100-Continue")
    assert judged(expect, (b"content-length", b"1")) == RequestHead(version="1.1", length=1, expects_continue=True)
    assert judged(expect) == RequestHead(version="1.1", length=0)
    assert judged(expect, (b"content-length", b"1"), version="1.0") == RequestHead(version="1.0", length=1)


@pytest.mark.parametrize(
    ("special", "arguments", "status"),
    [
        ([(b"content-length", b"11")], {"limit_body": 10}, 413),
        ([], {"version": "0.9"}, 505),
        ([], {"version": "2.0"}, 505),
        ([], {"hosts": 0}, 400),
        ([], {"hosts": 2}, 400),
        ([(b"transfer-encoding", b"gzip")], {}, 400),
        ([(b"transfer-encoding", b"gzip, chunked")], {}, 501),
        ([(b"transfer-encoding", b"chunked")], {"version": "1.0"}, 400),
        ([(b"expect", b"a miracle")], {}, 417),
    ],
)
def test_what_cannot_be_answered_is_refused(special: list[tuple[bytes, bytes]], arguments: dict[str, object], status: int) -> None:
    refusal = judged(*special, **arguments)  # type: ignore[arg-type]
    assert isinstance(refusal, Refusal)
    assert refusal.status == status


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        (b"/", b"/", b""),
        (b"/a?b?c", b"/a", b"b?c"),
        (b"/a#b", b"/a", b""),
        (b"/a?b#c", b"/a", b"b"),
        (b"*", b"*", b""),
        (b"http://h/a?b", b"/a", b"b"),
        (b"http://h", b"/", b""),
        (b"http://h?b/c", b"/", b"b/c"),
    ],
)
def test_a_target_is_a_path_and_a_query(target: bytes, path: bytes, query: bytes) -> None:
    assert split_target(target) == (path, query)


@pytest.mark.parametrize(
    ("target", "host"),
    [
        (b"/", b"x"),
        (b"//other/", b"x"),
        (b"/http://other/", b"x"),
        (b"*", b"x"),
        (b"http:///a", b"x"),
        (b"http://other", b"other"),
        (b"HTTP://other:81/a?b", b"other:81"),
        (b"https://other?b/c", b"other"),
        (b"http://[::1]:81/a@b", b"[::1]:81"),
        (b"http://user:secret@other/", b"other"),
    ],
)
def test_the_host_is_the_one_an_absolute_target_names(target: bytes, host: bytes) -> None:
    fields = with_host_of(target, [(b"a", b"1"), (b"host", b"x")])
    assert dict(fields) == {b"host": host, b"a": b"1"}
    assert with_host_of(target, [(b"a", b"1")])[-1] == (b"a", b"1")  # HTTP/1.0 has none
