"""The PROXY protocol, version 1 and 2: who the client is, said by a load balancer ahead of the connection's own bytes. Pure.

Source: https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt, sections 2.1 and 2.2.
"""

from __future__ import annotations

import ipaddress
import re
import struct
from dataclasses import dataclass

# "PROXY TCP6 " with two addresses of 39 characters, two ports and CRLF is 104; the specification allows 107.
_V1_LONGEST = 107
_V1 = re.compile(rb"PROXY (?:UNKNOWN(?: [^\r\n]*)?|TCP([46]) ([0-9A-Fa-f:.]+) ([0-9A-Fa-f:.]+) (0|[1-9]\d{0,4}) (0|[1-9]\d{0,4}))")

_V2_SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
_V2_PREFIX = struct.Struct("!12sBBH")  # signature, version and command, family and transport, length of the rest
# Addresses are at most 216 bytes; what follows them are additions, of which we need none. nginx has the same bound.
_V2_LONGEST = 4096
_LOCAL, _PROXY = 0x20, 0x21
_TCP4, _TCP6 = 0x11, 0x21
_KNOWN_FAMILIES = frozenset({0x00, _TCP4, 0x12, _TCP6, 0x22, 0x31, 0x32})
_SIZE_OF_ADDRESSES = {_TCP4: 12, _TCP6: 36}


class ProxyHeaderError(ValueError):
    """What came is not a PROXY header; the connection can only be closed."""


@dataclass(frozen=True, slots=True)
class ProxyHeader:
    """A whole header. `client` is (address, port), None when it speaks for the proxy itself; `size` is its own length in bytes."""

    client: tuple[str, int] | None
    size: int


def read_header(data: bytes) -> ProxyHeader | None:
    """Return the header `data` begins with, None while its end is missing. Raises `ProxyHeaderError`."""
    if data[:1] == b"P":
        return _read_v1(data)
    if data[:12] == _V2_SIGNATURE[: len(data)]:
        return _read_v2(data)
    raise ProxyHeaderError("it begins with something else")


def _read_v1(data: bytes) -> ProxyHeader | None:
    head = data[:_V1_LONGEST]
    if not head.startswith(b"PROXY "[: len(head)]):
        raise ProxyHeaderError("it begins with something else")
    line, end, _ = head.partition(b"\r\n")
    if not end:
        if len(head) == _V1_LONGEST:
            raise ProxyHeaderError("the line is too long")
        return None
    match = _V1.fullmatch(line)
    if match is None:
        raise ProxyHeaderError("the line is malformed")
    version, source, destination, *ports = match.groups()
    size = len(line) + 2
    if version is None:
        return ProxyHeader(None, size)
    address = ipaddress.IPv4Address if version == b"4" else ipaddress.IPv6Address
    try:
        client = str(address(source.decode()))
        address(destination.decode())
    except ValueError:
        raise ProxyHeaderError("an address is malformed") from None
    if max(int(port) for port in ports) > 0xFFFF:
        raise ProxyHeaderError("a port is out of range")
    return ProxyHeader((client, int(ports[0])), size)


def _read_v2(data: bytes) -> ProxyHeader | None:
    if len(data) < _V2_PREFIX.size:
        return None
    _, command, family, length = _V2_PREFIX.unpack_from(data)
    if command not in (_LOCAL, _PROXY):
        raise ProxyHeaderError("the version or the command is unknown")
    if length > _V2_LONGEST:
        raise ProxyHeaderError("the header is too long")
    size = _V2_PREFIX.size + length
    if command == _LOCAL:
        family = 0
    elif family not in _KNOWN_FAMILIES:
        raise ProxyHeaderError("the family or the transport is unknown")
    if length < _SIZE_OF_ADDRESSES.get(family, 0):
        raise ProxyHeaderError("the addresses are cut off")
    if len(data) < size:
        return None
    return ProxyHeader(_client(data[_V2_PREFIX.size :], family), size)


def _client(addresses: bytes, family: int) -> tuple[str, int] | None:
    if family == _TCP4:
        return str(ipaddress.IPv4Address(addresses[:4])), int.from_bytes(addresses[8:10])
    if family == _TCP6:
        return str(ipaddress.IPv6Address(addresses[:16])), int.from_bytes(addresses[32:34])
    return None  # LOCAL, datagrams and Unix sockets: the connection's own addresses count
