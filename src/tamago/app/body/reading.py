"""Reads the body of a request, whole and within a limit."""

from __future__ import annotations

import zlib

from tamago.app.errors import BadRequestError, PayloadTooLargeError, UnsupportedMediaTypeError
from tamago.types import Exchange

_WINDOW_BITS = {"gzip": 31, "x-gzip": 31, "deflate": 15}


async def read_body(exchange: Exchange, limit: int, *, setting: str, announced: int | None) -> bytes:
    """Return the whole body. Raises PayloadTooLargeError past `limit` bytes, at once if `announced` says so; `setting` names the limit."""
    if exchange.body is None:
        return b""
    if announced is not None and announced > limit:
        raise PayloadTooLargeError(limit, setting=setting)
    first = await exchange.read()
    size = len(first)
    pieces = [first]
    while size <= limit and (piece := await exchange.read()):
        size += len(piece)
        pieces.append(piece)
    if size > limit:
        raise PayloadTooLargeError(limit, setting=setting)
    return b"".join(pieces)


def unpack(data: bytes, encoding: str, limit: int, *, setting: str) -> bytes:
    """Undo the content-encoding of a body; `limit` counts for what comes out, so that a small body cannot become a huge one.

    Raises UnsupportedMediaTypeError for an encoding that is neither gzip nor deflate, BadRequestError for data that is not what it says.
    """
    kind = encoding.strip().lower()
    if kind in {"", "identity"} or not data:
        return data
    if kind not in _WINDOW_BITS:
        raise UnsupportedMediaTypeError(f"cannot read a body with content-encoding {encoding[:50]!r}, only gzip and deflate")
    unpacker = zlib.decompressobj(_WINDOW_BITS[kind])
    try:
        unpacked = unpacker.decompress(data, limit + 1)
    except zlib.error:
        raise BadRequestError(f"the body is not {kind}, as its content-encoding says") from None
    if len(unpacked) > limit:
        raise PayloadTooLargeError(limit, setting=setting)
    if not unpacker.eof:
        raise BadRequestError(f"the {kind} body ends too early")
    return unpacked
