from __future__ import annotations

import pytest

from tamago.ipc import wire
from tamago.ipc.wire import HEADER, MAX_BODY, Decoder, FrameTooLargeError, Kind, MalformedFrameError, Route


def test_the_header_is_twenty_bytes_little_endian() -> None:
    frame = wire.pack(Kind.REPLY, Route.PEER, b"body", slot=0x0102, to=0x03040506, sender=0x0708090A, seq=0x0B0C0D0E)
    assert frame.hex(" ") == "04 00 00 00 03 04 02 01 06 05 04 03 0a 09 08 07 0e 0d 0c 0b 62 6f 64 79"
    assert HEADER.size == wire.HEADER_SIZE == 20


def test_a_frame_comes_back_as_it_was_packed() -> None:
    frame = wire.pack(Kind.REQUEST, Route.SLOT, b"body", slot=7, to=8, sender=9, seq=10)
    [(kind, route, slot, to, sender, seq, body)] = Decoder().feed(frame)
    assert (kind, route, slot, to, sender, seq, bytes(body)) == (Kind.REQUEST, Route.SLOT, 7, 8, 9, 10, b"body")


def test_a_body_over_the_limit_is_refused_where_it_is_sent() -> None:
    with pytest.raises(FrameTooLargeError) as caught:
        wire.pack(Kind.MESSAGE, Route.APP, bytes(MAX_BODY + 1))
    assert (caught.value.size, caught.value.limit) == (MAX_BODY + 1, MAX_BODY)
    assert len(wire.pack(Kind.MESSAGE, Route.APP, bytes(MAX_BODY))) == MAX_BODY + 20


def test_a_body_over_the_limit_is_refused_where_it_arrives_before_a_byte_of_it_is_kept() -> None:
    decoder = Decoder()
    with pytest.raises(FrameTooLargeError):
        decoder.feed(HEADER.pack(64 * 1024 * 1024, Kind.MESSAGE, Route.APP, 0, 0, 0, 0))
    assert decoder.pending == 0


@pytest.mark.parametrize(("kind", "route", "reason"), [(0, 0, "unknown kind 0"), (6, 0, "unknown kind 6"), (1, 8, "unknown route 8")])
def test_an_unknown_kind_or_route_is_malformed(kind: int, route: int, reason: str) -> None:
    with pytest.raises(MalformedFrameError, match=reason):
        Decoder().feed(HEADER.pack(0, kind, route, 0, 0, 0, 0))


def test_after_a_bad_frame_the_stream_stays_lost() -> None:
    decoder = Decoder()
    with pytest.raises(MalformedFrameError):
        decoder.feed(HEADER.pack(0, 9, 0, 0, 0, 0, 0))
    with pytest.raises(MalformedFrameError):
        decoder.feed(wire.pack(Kind.MESSAGE, Route.APP, b""))


def test_a_large_frame_in_small_chunks_is_joined_once() -> None:
    body = bytes(range(256)) * 4096
    frame = wire.pack(Kind.MESSAGE, Route.APP, body)
    decoder, found = Decoder(), []
    for start in range(0, len(frame), 1000):
        found += [bytes(got[6]) for got in decoder.feed(frame[start : start + 1000])]
    assert found == [body]


def test_the_start_of_the_frame_that_has_a_byte_is_found() -> None:
    entry = wire.pack(1, 1, b"a") + wire.pack(1, 1, b"bb") + wire.pack(1, 1, b"")
    starts = [0] * 21 + [21] * 22 + [43] * 20 + [63]
    assert [wire.frame_start(entry, offset) for offset in range(len(entry) + 1)] == starts
