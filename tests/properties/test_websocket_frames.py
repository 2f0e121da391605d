"""The short way around the library's websocket parser leads to where the parser leads, however the bytes are cut."""

from __future__ import annotations

import zlib

from hypothesis import given, strategies as st
from tests.web.frames import BINARY, CLOSE, CONT, FIN, PING, PONG, RSV1, TEXT, frame
from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import Frame, Opcode
from websockets.protocol import Protocol, Side, State

from tamago.server.websocket_frames import Frames

MAX_SIZE = 1500

Heard = tuple[list[str | bytes], int | None, bytes]


def deflate() -> PerMessageDeflate:
    return PerMessageDeflate(True, True, 12, 12, {"memLevel": 5})


def compressed(data: bytes) -> bytes:
    compressor = zlib.compressobj(wbits=-12)
    return (compressor.compress(data) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]


payloads = st.one_of(st.binary(max_size=150), st.text(max_size=40).map(str.encode), st.integers(1490, 1510).map(lambda size: b"a" * size))
whole = st.builds(frame, st.sampled_from([FIN | TEXT, FIN | BINARY]), payloads)
squeezed = st.builds(lambda kind, data: frame(FIN | RSV1 | kind, compressed(data)), st.sampled_from([TEXT, BINARY]), payloads)
broken = st.builds(lambda data: frame(FIN | RSV1 | BINARY, data), st.binary(max_size=20))
control = st.builds(frame, st.sampled_from([FIN | PING, FIN | PONG]), st.binary(max_size=10))
pieces = st.lists(st.builds(frame, st.sampled_from([TEXT, BINARY, CONT, CONT, FIN | CONT]), payloads), min_size=1, max_size=3).map(b"".join)
closing = st.builds(frame, st.just(FIN | CLOSE), st.sampled_from([b"", b"\x03\xe8", b"\x0f\xa0bye", b"\x03"]))
anything = st.builds(
    lambda first, data, masked: frame(first, data, mask=b"abcd" if masked else None), st.integers(0, 255), payloads, st.booleans()
)
streams = st.lists(st.one_of(whole, whole, whole, squeezed, control, pieces, broken, closing, anything), max_size=12).map(b"".join)


def heard_by_the_library(data: bytes, *, inflates: bool) -> Heard:
    library = Protocol(Side.SERVER, state=State.OPEN, max_size=MAX_SIZE)
    library.extensions = [deflate()] if inflates else []
    library.receive_data(data)
    messages: list[str | bytes] = []
    kind, parts = Opcode.BINARY, b""
    for event in library.events_received():
        if not isinstance(event, Frame) or event.opcode not in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
            continue
        if event.opcode is not Opcode.CONT:
            kind, parts = event.opcode, b""
        parts += bytes(event.data)
        if event.fin:
            try:
                messages.append(parts.decode() if kind is Opcode.TEXT else parts)
            except UnicodeDecodeError:
                return messages, 1007, b""
    sent = b"".join(library.data_to_send())
    return messages, None if library.close_sent is None else library.close_sent.code, sent


def heard_by_us(chunks: list[bytes], *, inflates: bool) -> Heard:
    sent: list[bytes] = []
    frames = Frames(sent.append, MAX_SIZE, deflate() if inflates else None)
    messages: list[str | bytes] = []
    for chunk in chunks:
        ended = frames.feed(chunk)
        while frames.inbox or frames.has_held_back:
            if not frames.inbox:
                ended = ended or frames.feed()
                continue
            messages.append(frames.take())
        if ended is not None:
            return messages, ended.code, b"".join(sent)
    return messages, None, b"".join(sent)


@given(data=streams, cuts=st.lists(st.integers(0, 4000), max_size=8), inflates=st.booleans())
def test_the_same_is_heard_and_answered_as_by_the_library(data: bytes, cuts: list[int], inflates: bool) -> None:
    ends = sorted({min(cut, len(data)) for cut in cuts} | {len(data)})
    chunks = [data[begin:end] for begin, end in zip([0, *ends], ends, strict=False) if begin < end]
    messages, code, sent = heard_by_us(chunks, inflates=inflates)
    expected = heard_by_the_library(data, inflates=inflates)
    assert (messages, code) == expected[:2]
    if code != 1007:
        assert sent == expected[2]
