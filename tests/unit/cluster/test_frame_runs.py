from __future__ import annotations

from tamago.cluster.frame_runs import Cut, Run, cut
from tamago.ipc import wire
from tamago.ipc.wire import HEADER, MAX_BODY, Kind, Route


def test_consecutive_frames_with_one_destination_are_one_run() -> None:
    data = wire.pack(1, Route.AGENT, b"a", sender=3) * 2 + wire.pack(1, Route.SLOT, b"bb", slot=4, to=5, sender=3, seq=6)
    result = cut(memoryview(data), 3)
    assert [(run.kind, run.route, run.slot, run.to, run.start, run.stop, run.frames) for run in result.runs] == [
        (Kind.MESSAGE, Route.AGENT, 0, 0, 0, 42, 2),
        (Kind.MESSAGE, Route.SLOT, 4, 5, 42, 64, 1),
    ]
    assert result.taken == 64


def test_the_number_of_a_request_does_not_end_a_run() -> None:
    data = b"".join(wire.pack(2, Route.AGENT, b"", sender=3, seq=seq) for seq in (1, 2, 3))
    assert [run.frames for run in cut(memoryview(data), 3).runs] == [3]


def test_an_unfinished_frame_is_left_for_later() -> None:
    data = wire.pack(1, 1, b"whole", sender=3) + wire.pack(1, 1, b"half", sender=3)[:-1]
    assert cut(memoryview(data), 3) == Cut(runs=[Run(1, 1, 0, 0, 0, 25, 1)], taken=25)
    assert cut(memoryview(data[:19]), 3) == Cut(runs=[], taken=0)
    assert cut(memoryview(b""), 3) == Cut(runs=[], taken=0)


def test_a_forged_frame_is_left_out_and_ends_the_run() -> None:
    own, forged = wire.pack(1, 1, b"", sender=3), wire.pack(1, 1, b"", sender=4)
    result = cut(memoryview(own + forged + forged + own), 3)
    assert [(run.start, run.stop) for run in result.runs] == [(0, 20), (60, 80)]
    assert (result.forged, result.taken) == (2, 80)


def test_a_frame_too_large_is_to_be_skipped_with_what_is_there_of_it() -> None:
    data = HEADER.pack(MAX_BODY + 5, 1, 1, 0, 0, 3, 0) + b"beginning"
    assert cut(memoryview(data), 3) == Cut(runs=[], taken=29, skip=MAX_BODY + 5 - 9, too_large=MAX_BODY + 5)
