from __future__ import annotations

from tamago.cluster.waiting import MAX_BYTES, MAX_FRAMES, Waiting, WaitingLine
from tamago.ipc import wire


def frame(body: bytes) -> bytes:
    return wire.pack(1, 1, body)


def test_runs_come_out_in_the_order_they_went_in() -> None:
    line = WaitingLine()
    assert line.add(memoryview(frame(b"a") + frame(b"b")), 2) == 42
    line.add(frame(b"c"), 1)
    assert (line.frames, line.bytes) == (3, 63)
    assert line.take_all() == [Waiting(frame(b"a") + frame(b"b"), 2), Waiting(frame(b"c"), 1)]
    assert (line.frames, line.bytes, line.take_all()) == (0, 0, [])


def test_of_a_run_that_does_not_fit_the_first_frames_are_taken() -> None:
    line = WaitingLine()
    line.add(frame(b"") * (MAX_FRAMES - 2), MAX_FRAMES - 2)
    assert line.add(frame(b"") * 5, 5) == 40
    assert line.add(frame(b""), 1) == 0
    assert line.frames == MAX_FRAMES


def test_bytes_are_bounded_too() -> None:
    line = WaitingLine()
    large = frame(bytes(wire.MAX_BODY))
    taken = [line.add(large, 1) for _ in range(5)]
    assert taken == [len(large)] * 3 + [0, 0]
    assert line.bytes <= MAX_BYTES
    assert line.add(frame(b"small"), 1) == 25


def test_what_is_put_back_comes_first_and_is_never_refused() -> None:
    line = WaitingLine()
    line.add(frame(b"") * MAX_FRAMES, MAX_FRAMES)
    line.put_back([Waiting(frame(b"1"), 1), Waiting(frame(b"2"), 1)])
    assert line.frames == MAX_FRAMES + 2
    assert [run.data for run in line.take_all()[:2]] == [frame(b"1"), frame(b"2")]
