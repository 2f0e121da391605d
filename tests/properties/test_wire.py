"""What must hold for any frames, any cuts and any bytes."""

from __future__ import annotations

from contextlib import suppress
from itertools import pairwise

import pytest
from hypothesis import given, strategies as st

from tamago.cluster.frame_runs import Run, cut
from tamago.ipc import bodies, wire
from tamago.ipc.wire import Decoder, FrameError, Kind, MalformedFrameError, Route

U16, U32 = st.integers(0, 0xFFFF), st.integers(0, 0xFFFF_FFFF)
FRAMES = st.lists(st.tuples(st.sampled_from(Kind), st.sampled_from(Route), U16, U32, U32, U32, st.binary(max_size=60)), max_size=12)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def packed(frames: list[tuple[Kind, Route, int, int, int, int, bytes]]) -> list[bytes]:
    return [wire.pack(kind, route, body, slot=slot, to=to, sender=sender, seq=seq) for kind, route, slot, to, sender, seq, body in frames]


def chunks(data: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(data) + 1) for place in cuts), len(data)]
    return [data[start:stop] for start, stop in pairwise(edges)]


@given(FRAMES, st.lists(st.integers(0, 2000), max_size=30))
def test_any_frames_cut_anywhere_come_back_the_same(frames: list[tuple[Kind, Route, int, int, int, int, bytes]], cuts: list[int]) -> None:
    decoder = Decoder()
    found = [(*frame[:6], bytes(frame[6])) for chunk in chunks(b"".join(packed(frames)), cuts) for frame in decoder.feed(chunk)]
    assert found == frames
    assert decoder.pending == 0


@given(FRAMES)
def test_byte_by_byte_is_the_same_as_at_once(frames: list[tuple[Kind, Route, int, int, int, int, bytes]]) -> None:
    data = b"".join(packed(frames))
    decoder = Decoder()
    slowly = [(*frame[:6], bytes(frame[6])) for index in range(len(data)) for frame in decoder.feed(data[index : index + 1])]
    assert slowly == [(*frame[:6], bytes(frame[6])) for frame in Decoder().feed(data)]


@given(FRAMES, st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 255)), max_size=8), st.lists(st.integers(0, 2000), max_size=8))
def test_changed_bytes_are_frames_or_a_frame_error_and_nothing_else(
    frames: list[tuple[Kind, Route, int, int, int, int, bytes]], changes: list[tuple[int, int]], cuts: list[int]
) -> None:
    data = bytearray(b"".join(packed(frames)))
    for place, value in changes:
        if data:
            data[place % len(data)] = value
    decode_all(chunks(bytes(data), cuts))


@given(st.lists(st.binary(max_size=80), max_size=8))
def test_any_bytes_at_all_are_frames_or_a_frame_error(noise: list[bytes]) -> None:
    decode_all(noise)


def decode_all(data: list[bytes]) -> None:
    decoder = Decoder()
    with suppress(FrameError):
        for chunk in data:
            for *_, body in decoder.feed(chunk):
                assert len(body) <= wire.MAX_BODY


@given(st.binary(max_size=200))
def test_any_bytes_as_a_body_are_data_or_malformed(body: bytes) -> None:
    for decode in (bodies.decode_message, bodies.decode_reply, bodies.decode_error):
        with suppress(MalformedFrameError):
            decode(body)


@given(st.text(), JSON)
def test_any_data_comes_back_the_same(action: str, data: object) -> None:
    assert bodies.decode_message(bodies.encode_message(action, data)) == (action, data)
    assert bodies.decode_reply(bodies.encode_reply(data)) == data


def test_a_body_nested_too_deep_is_malformed() -> None:
    with pytest.raises(MalformedFrameError):
        bodies.decode_reply(b"\x91" * 100_000 + b"\xc0")


@given(FRAMES, st.integers(0, 40))
def test_runs_cover_exactly_the_frames_of_the_sender_and_keep_their_order(
    frames: list[tuple[Kind, Route, int, int, int, int, bytes]], missing: int
) -> None:
    sender = frames[0][4] if frames else 1
    data = b"".join(packed(frames))
    data = data[: max(0, len(data) - missing)]
    chunk = cut(memoryview(data), sender)
    own = [frame for run in chunk.runs for frame in wire.split(data[run.start : run.stop])]
    whole = wire.split(data[: chunk.taken])
    assert own == [frame for frame in whole if frame[4] == sender]
    assert chunk.forged == len(whole) - len(own)
    assert sum(run.frames for run in chunk.runs) == len(own)
    assert all(
        frame[:4] == (run.kind, run.route, run.slot, run.to) for run in chunk.runs for frame in wire.split(data[run.start : run.stop])
    )
    assert all(left.stop != right.start or destination(left) != destination(right) for left, right in pairwise(chunk.runs))


def destination(run: Run) -> tuple[int, int, int, int]:
    return run.kind, run.route, run.slot, run.to


@given(st.lists(st.binary(max_size=80), max_size=8))
def test_any_bytes_at_all_can_be_cut_into_runs(noise: list[bytes]) -> None:
    rest, skip = b"", 0
    for chunk in noise:
        data = rest + chunk[skip:]
        skip = max(0, skip - len(chunk))
        result = cut(memoryview(data), 1)
        rest, skip = data[result.taken :], skip + result.skip
        assert 0 <= result.taken <= len(data)
        assert not (rest and skip)
