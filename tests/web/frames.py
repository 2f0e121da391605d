"""A websocket client that sends any bytes it is told to, also those no library would."""

from __future__ import annotations

from tests.web.edge import Client, Served, request

HANDSHAKE = ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13")
DEFLATE = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits"

FIN, RSV1 = 0x80, 0x40
CONT, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA


def frame(first: int, payload: bytes = b"", *, mask: bytes | None = b"\x01\x02\x03\x04", size: int | None = None) -> bytes:
    """Return a frame. `first` is its first byte; `size` is announced instead of the right one; without a mask it is a server's."""
    size = len(payload) if size is None else size
    bit = 0 if mask is None else 0x80
    if size < 126:
        head = bytes((first, bit | size))
    elif size < 65536:
        head = bytes((first, bit | 126)) + size.to_bytes(2, "big")
    else:
        head = bytes((first, bit | 127)) + size.to_bytes(8, "big")
    if mask is None:
        return head + payload
    return head + mask + bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))


async def shake_hands(served: Served, *fields: str) -> Client:
    """Return a client on an open websocket."""
    client = await served.connect()
    await client.send(request("GET", "/", *HANDSHAKE, *fields))
    head = await client.reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 101 "), head
    return client


async def read_frame(client: Client) -> tuple[int, bytes]:
    """Return first byte and payload of the server's next frame."""
    first, size = await client.reader.readexactly(2)
    assert size < 128, "a server does not mask"
    if size == 126:
        size = int.from_bytes(await client.reader.readexactly(2), "big")
    elif size == 127:
        size = int.from_bytes(await client.reader.readexactly(8), "big")
    return first, await client.reader.readexactly(size)


async def read_close(client: Client) -> tuple[int, str]:
    """Return code and reason of the server's close frame, which must be the next."""
    first, payload = await read_frame(client)
    assert first == FIN | CLOSE
    return int.from_bytes(payload[:2], "big"), payload[2:].decode()
