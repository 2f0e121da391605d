from __future__ import annotations

import pytest

from tamago.server.refusal import Refusal
from tamago.server.request_head import SOUND_HOSTS, RequestHead, judge, split_target, with_host_of


def judged(
    *special: tuple[bytes, bytes],
    method: bytes = b"POST",
    target: bytes = b"/",
    version: str = "1.1",
    host: bytes | None = b"test",
    length: int = 0,
    limit_body: int = 0,
) -> RequestHead | Refusal:
    return judge(
        method=method,
        target=target,
        version=version,
        host=host,
        special=list(special),
        length=length,
        limit_body=limit_body,
        upgrades=False,
    )


def test_the_length_of_a_body_is_its_content_length() -> None:
    assert judged(length=12) == RequestHead(version="1.1", length=12)


def test_a_chunked_body_has_no_length() -> None:
    assert judged((b"transfer-encoding", b"Chunked")) == RequestHead(version="1.1", length=-1)


def test_only_a_body_can_be_expected() -> None:
    expect = (b"expect", b"100-Continue")
    assert judged(expect, length=1) == RequestHead(version="1.1", length=1, expects_continue=True)
    assert judged(expect) == RequestHead(version="1.1", length=0)
    assert judged(expect, length=1, version="1.0") == RequestHead(version="1.0", length=1)


@pytest.mark.parametrize(
    ("special", "arguments", "status"),
    [
        ([], {"length": 11, "limit_body": 10}, 413),
        ([], {"version": "0.9"}, 505),
        ([], {"version": "2.0"}, 505),
        ([], {"host": None}, 400),
        ([(b"host", b"test")], {}, 400),
        ([(b"host", b"test")], {"version": "1.0"}, 400),
        ([], {"length": 9223372036854775808}, 400),
        ([], {"method": b"DESCRIBE"}, 501),
        ([], {"method": b"CONNECT", "target": b"test:443"}, 501),
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


@pytest.mark.parametrize("host", [b"", b"a", b"A-b.example:8000", b"127.0.0.1:", b"[::1]", b"[fe80::1%25eth0]:80", b"a_b", b"%41"])
def test_a_host_is_a_name_or_an_address(host: bytes) -> None:
    assert isinstance(judged(host=host), RequestHead)


@pytest.mark.parametrize(
    "host",
    [b"a b", b"a/b", b"a@b", b"a\\b", b"a?b", b"a#b", b'a"', b"<a>", b"a:b", b"::1", b"[::1", b"[::1]x", b"[]", b"http://a", b"\xff"],
)
def test_a_host_that_is_none_is_refused(host: bytes) -> None:
    assert isinstance(judged(host=host), Refusal)


def test_checked_hosts_are_kept_and_bounded() -> None:
    for n in range(3000):
        assert isinstance(judged(host=b"%d.example" % n), RequestHead)
    assert b"2999.example" in SOUND_HOSTS
    assert len(SOUND_HOSTS) <= 1024


@pytest.mark.parametrize(
    ("target", "host"),
    [
        (b"http://test", b"test"),
        (b"HTTP://TEST/a?b#c", b"Test"),
        (b"http://test:80/", b"test"),
        (b"https://test/", b"test:443"),
        (b"http://test:8000?a", b"test:8000"),
    ],
)
def test_an_absolute_target_is_one_of_http(target: bytes, host: bytes) -> None:
    assert isinstance(judged(method=b"GET", target=target, host=host), RequestHead)
    assert isinstance(judged(method=b"GET", target=target, host=None, version="1.0"), RequestHead)


@pytest.mark.parametrize(
    "target",
    [
        b"http://u@test/",
        b"http://test@evil/",
        b"http://",
        b"http:///a",
        b"ftp://test/",
        b"test:80",
        b"*",
        b"*a",
        b"?a",
    ],
)
def test_a_target_that_could_be_taken_for_another_is_refused(target: bytes) -> None:
    refusal = judged(method=b"GET", target=target)
    assert isinstance(refusal, Refusal)
    assert refusal.status == 400


def test_only_options_asks_for_the_server_itself() -> None:
    assert isinstance(judged(method=b"OPTIONS", target=b"*"), RequestHead)


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
        (b"http://h#/a", b"/", b""),
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
        (b"http://other", b"other"),
        (b"HTTP://other:81/a?b", b"other:81"),
        (b"https://other?b/c", b"other"),
        (b"http://[::1]:81/a@b", b"[::1]:81"),
    ],
)
def test_the_host_is_the_one_an_absolute_target_names(target: bytes, host: bytes) -> None:
    assert dict(with_host_of(target, [(b"a", b"1"), (b"host", b"x")])) == {b"host": host, b"a": b"1"}
    assert with_host_of(target, [(b"a", b"1")])[-1] == (b"a", b"1"), "HTTP/1.0 has no Host"
