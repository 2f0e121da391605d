"""The header of the PROXY protocol, both versions: what is read, what is waited for, what is refused."""

from __future__ import annotations

import contextlib
import ipaddress
import struct

import pytest
from hypothesis import given, strategies as st

from tamago.server.proxy_protocol import ProxyHeader, ProxyHeaderError, read_header

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"


def v2(command: int, family: int, rest: bytes, *, length: int | None = None) -> bytes:
    return SIGNATURE + struct.pack("!BBH", command, family, len(rest) if length is None else length) + rest


V4 = bytes([192, 0, 2, 1, 198, 51, 100, 7]) + struct.pack("!HH", 56324, 443)
V6 = ipaddress.ip_address("2001:db8::1").packed + ipaddress.ip_address("2001:db8::2").packed + struct.pack("!HH", 56324, 443)
UNIX = bytes(216)
EXTRAS = b"\x03\x00\x04\x00\x00\x00\x00" + b"\x04\x00\x00"  # a checksum and padding

GOOD: dict[str, tuple[bytes, tuple[str, int] | None]] = {
    "v1 TCP4": (b"PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\r\n", ("192.0.2.1", 56324)),
    "v1 TCP6": (b"PROXY TCP6 2001:db8::1 2001:db8::2 56324 443\r\n", ("2001:db8::1", 56324)),
    "v1 TCP6 longest": (
        b"PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n",
        ("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 65535),
    ),
    "v1 port 0": (b"PROXY TCP4 192.0.2.1 198.51.100.7 0 0\r\n", ("192.0.2.1", 0)),
    "v1 UNKNOWN": (b"PROXY UNKNOWN\r\n", None),
    "v1 UNKNOWN with something": (b"PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n", None),
    "v2 TCP4": (v2(0x21, 0x11, V4), ("192.0.2.1", 56324)),
    "v2 TCP4 and extras": (v2(0x21, 0x11, V4 + EXTRAS), ("192.0.2.1", 56324)),
    "v2 TCP6": (v2(0x21, 0x21, V6), ("2001:db8::1", 56324)),
    "v2 UDP4": (v2(0x21, 0x12, V4), None),
    "v2 Unix": (v2(0x21, 0x31, UNIX), None),
    "v2 unspecified": (v2(0x21, 0x00, b""), None),
    "v2 LOCAL": (v2(0x20, 0x00, b""), None),
    "v2 LOCAL with addresses": (v2(0x20, 0x11, V4), None),
    "v2 LOCAL of an unknown family": (v2(0x20, 0xFF, b"abc"), None),
    "v2 longest": (v2(0x21, 0x11, V4 + bytes(4096 - 12)), ("192.0.2.1", 56324)),
}

BAD = {
    "HTTP": b"GET / HTTP/1.1\r\n",
    "POST begins as PROXY does": b"POST / HTTP/1.1\r\n",
    "TLS": b"\x16\x03\x01\x02\x00",
    "v1 lower case": b"proxy TCP4 192.0.2.1 198.51.100.7 56324 443\r\n",
    "v1 bare LF": b"PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\n" + b" " * 107,
    "v1 too long": b"PROXY UNKNOWN " + b"x" * 100,
    "v1 too long by its end": b"PROXY UNKNOWN " + b"x" * 92 + b"\r\n",
    "v1 no family": b"PROXY \r\n",
    "v1 other family": b"PROXY UDP4 192.0.2.1 198.51.100.7 56324 443\r\n",
    "v1 two spaces": b"PROXY TCP4  192.0.2.1 198.51.100.7 56324 443\r\n",
    "v1 too few": b"PROXY TCP4 192.0.2.1 198.51.100.7 56324\r\n",
    "v1 too many": b"PROXY TCP4 192.0.2.1 198.51.100.7 56324 443 1\r\n",
    "v1 v6 as TCP4": b"PROXY TCP4 2001:db8::1 2001:db8::2 56324 443\r\n",
    "v1 v4 as TCP6": b"PROXY TCP6 192.0.2.1 198.51.100.7 56324 443\r\n",
    "v1 address": b"PROXY TCP4 192.0.2.256 198.51.100.7 56324 443\r\n",
    "v1 destination": b"PROXY TCP4 192.0.2.1 198.51.100 56324 443\r\n",
    "v1 zone": b"PROXY TCP6 fe80::1%eth0 fe80::2 1 2\r\n",
    "v1 port": b"PROXY TCP4 192.0.2.1 198.51.100.7 65536 443\r\n",
    "v1 port with zero": b"PROXY TCP4 192.0.2.1 198.51.100.7 0443 443\r\n",
    "v1 port with sign": b"PROXY TCP4 192.0.2.1 198.51.100.7 +1 443\r\n",
    "v2 signature": SIGNATURE[:-1] + b"X",
    "v2 version 1": v2(0x11, 0x11, V4),
    "v2 command": v2(0x22, 0x11, V4),
    "v2 family": v2(0x21, 0x41, V4),
    "v2 transport": v2(0x21, 0x13, V4),
    "v2 TCP4 cut off": v2(0x21, 0x11, V4[:-1]),
    "v2 TCP6 with v4": v2(0x21, 0x21, V4),
    "v2 too long": v2(0x21, 0x11, b"", length=4097),
    "v2 much too long": v2(0x20, 0x00, b"", length=65535),
}


@pytest.mark.parametrize(("data", "client"), GOOD.values(), ids=GOOD)
@pytest.mark.parametrize("rest", [b"", b"GET / HTTP/1.1\r\n\r\n"], ids=["alone", "and more"])
def test_a_header_is_read_and_what_follows_is_left(data: bytes, client: tuple[str, int] | None, rest: bytes) -> None:
    assert read_header(data + rest) == ProxyHeader(client, len(data))


@pytest.mark.parametrize(("data", "client"), GOOD.values(), ids=GOOD)
def test_cut_at_every_byte_it_waits_for_the_rest(data: bytes, client: tuple[str, int] | None) -> None:
    assert all(read_header(data[:size]) is None for size in range(1, len(data)))


@pytest.mark.parametrize("data", BAD.values(), ids=BAD)
def test_anything_else_is_refused(data: bytes) -> None:
    with pytest.raises(ProxyHeaderError):
        read_header(data)


@pytest.mark.parametrize("data", BAD.values(), ids=BAD)
def test_cut_at_every_byte_what_is_refused_is_no_header_either(data: bytes) -> None:
    """However it is cut, it is never taken for a whole one."""
    for size in range(1, len(data)):
        with contextlib.suppress(ProxyHeaderError):
            assert read_header(data[:size]) is None


@given(
    st.binary(min_size=1, max_size=300)
    | st.binary(max_size=60).map(lambda tail: SIGNATURE + tail)
    | st.binary(max_size=120).map(lambda tail: b"PROXY " + tail)
)
def test_whatever_comes_it_is_a_header_or_an_error_or_too_short(data: bytes) -> None:
    try:
        header = read_header(data)
    except ProxyHeaderError:
        return
    assert header is None or header.size <= len(data)
