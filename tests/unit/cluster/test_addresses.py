from __future__ import annotations

import pytest

from tamago.cluster.addresses import Address, BadBindError, FdAddress, TcpAddress, UnixAddress, parse_bind, speaks_tls


@pytest.mark.parametrize(
    ("bind", "address"),
    [
        ("127.0.0.1:8000", TcpAddress("127.0.0.1", 8000)),
        ("localhost:0", TcpAddress("localhost", 0)),
        ("[::1]:8000", TcpAddress("::1", 8000)),
        ("[fe80::1%eth0]:8000", TcpAddress("fe80::1%eth0", 8000)),
        (":8000", TcpAddress("", 8000)),
        ("*:8000", TcpAddress("", 8000)),
        ("unix:/run/shop.sock", UnixAddress("/run/shop.sock")),
        ("unix:run/shop.sock", UnixAddress("run/shop.sock")),
        ("fd://3", FdAddress(3)),
        ("http://127.0.0.1:80", TcpAddress("127.0.0.1", 80, "http")),
        ("https://:443", TcpAddress("", 443, "https")),
        ("https://[::1]:443", TcpAddress("::1", 443, "https")),
        ("https://unix:/run/shop.sock", UnixAddress("/run/shop.sock", "https")),
        ("http://fd://3", FdAddress(3, "http")),
    ],
)
def test_each_form_is_read(bind: str, address: Address) -> None:
    assert parse_bind(bind) == address


@pytest.mark.parametrize(
    "bind",
    [
        "",
        "8000",
        "localhost",
        "host:",
        "host:port",
        "host:65536",
        "::1:8000",
        "unix:",
        "fd://",
        "fd://x",
        "ftp://host:80",
        "https://",
        "https://host",
        "https://https://host:80",
        "http://host:80/",
        "a b:80",
        "unix:a\0b",
    ],
)
def test_anything_else_is_refused_with_the_forms_there_are(bind: str) -> None:
    with pytest.raises(BadBindError) as caught:
        parse_bind(bind)
    assert caught.value.bind == bind
    assert "unix:/path" in caught.value.hint


@pytest.mark.parametrize(
    "bind", ["127.0.0.1:8000", "[::1]:8000", ":8000", "unix:/run/shop.sock", "fd://3", "https://:443", "http://fd://3", "https://unix:/s"]
)
def test_an_address_prints_as_it_is_written(bind: str) -> None:
    assert str(parse_bind(bind)) == bind


@pytest.mark.parametrize(
    ("bind", "with_certificate", "without"),
    [
        (":443", True, False),
        ("fd://3", True, False),
        ("unix:/s", False, False),
        ("http://:80", False, False),
        ("https://:443", True, True),
        ("https://unix:/s", True, True),
    ],
)
def test_the_scheme_decides_about_tls_and_without_one_the_certificate(bind: str, with_certificate: bool, without: bool) -> None:
    address = parse_bind(bind)
    assert (speaks_tls(address, certified=True), speaks_tls(address, certified=False)) == (with_certificate, without)
