"""A connection without sockets: any bytes, cut anywhere; and the same requests read by somebody else's parser."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import closing
from random import Random

import h11
import pytest
from hypothesis import given, strategies as st
from tests.web.apps import no_lifespan
from tests.web.fuzz import TOKENS, Trial, fuzz, make_trial, problem_of, seeds, shrink
from tests.web.protocol import Bench, Echo, Hasty, Outcome, Unhurried, check

from tamago.server.asgi import Receive, Scope, Send


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    with closing(Bench()) as bench:
        yield bench


@pytest.mark.slow
def test_what_is_known_comes_to_the_same_however_it_is_cut(bench: Bench) -> None:
    for data in seeds():
        Trial(data=data, cuts=tuple(range(0, len(data), 5))).run(bench)
        Trial(data=data, app=Hasty, slow=True, hang_up=False).run(bench)


fragments = st.sampled_from(TOKENS) | st.sampled_from(seeds()) | st.binary(max_size=4)


@pytest.mark.slow
@given(
    parts=st.lists(fragments, max_size=12),
    cuts=st.lists(st.integers(0, 400), max_size=6),
    app=st.sampled_from((Echo, Hasty)),
    hang_up=st.booleans(),
    slow=st.booleans(),
    drain_at=st.none() | st.integers(0, 6),
)
def test_any_bytes_cut_anywhere_end_well(
    bench: Bench, parts: list[bytes], cuts: list[int], app: type[Echo], hang_up: bool, slow: bool, drain_at: int | None
) -> None:
    Trial(data=b"".join(parts)[:10_000], cuts=tuple(cuts), app=app, hang_up=hang_up, slow=slow, drain_at=drain_at).run(bench)


def test_a_drain_in_the_middle_of_an_answer_puts_nothing_into_it(bench: Bench) -> None:
    for data in seeds():
        Trial(data=b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" + data, app=Unhurried, hang_up=False, drain_at=1).run(bench)


@pytest.mark.slow
@given(data=st.binary(max_size=200))
def test_noise_ends_well(bench: Bench, data: bytes) -> None:
    check(bench.run([data], hang_up=False))


# ── a client that does not read ──────────────────────────────────────────────────────────────────────────────────────


class Large(Echo):
    """Answers with much."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await no_lifespan(scope)
        self._outcome.methods.append(scope["method"])
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"60000")]})
        await send({"type": "http.response.body", "body": b"x" * 60_000})


@pytest.mark.parametrize("together", [1, 20])
def test_a_client_that_reads_no_answers_gets_few_of_them(bench: Bench, together: int) -> None:
    outcome = bench.run([b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" * together] * (400 // together), app=Large, slow=True)
    assert outcome.most_unsent < 200_000
    assert len(outcome.methods) < 5


def test_a_client_that_reads_late_gets_all_its_answers_in_order(bench: Bench) -> None:
    with bench.talk(Large, slow=True) as talk:
        talk.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" * 12)
        while len(talk.answers) < 12:
            before = len(talk.answers)
            talk.read()
            assert len(talk.answers) > before


UNFINISHED = {
    "half a body": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc",
    "half a chunk": b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
    "half a head": b"GET / HTTP/1.1\r\nHos",
    "a websocket": b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
}


@pytest.mark.parametrize("unfinished", UNFINISHED.values(), ids=UNFINISHED)
@pytest.mark.parametrize("whole", [1, 2])
def test_who_sends_no_more_gets_the_answers_to_what_was_whole(bench: Bench, whole: int, unfinished: bytes) -> None:
    with bench.talk(Unhurried) as talk:
        talk.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" * whole + unfinished)
        talk.hang_up()
        talk.pass_time(100)
        assert [answer.status for answer in talk.answers] == [200] * whole
        assert talk.cut


def test_an_error_behind_unread_answers_waits_for_its_turn(bench: Bench) -> None:
    with bench.talk(Large, slow=True) as talk:
        talk.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" * 3 + b"nonsense\r\n\r\n")
        assert [answer.status for answer in talk.answers] == [200, 200]
        talk.read()
        talk.read()
        assert [answer.status for answer in talk.answers] == [200, 200, 200, 400]


WHOLE = [
    b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab",
    b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n",
]


@pytest.mark.parametrize("request_", WHOLE, ids=["no body", "length", "chunks"])
def test_what_is_read_in_a_turn_of_the_loop_begins_at_its_end(bench: Bench, request_: bytes) -> None:
    with bench.talk() as talk:
        begun: list[int] = []

        def read() -> None:
            talk.connection.data_received(request_)
            bench.loop.call_soon(lambda: begun.append(len(talk.outcome.methods)))
            begun.append(len(talk.outcome.methods))

        bench.loop.call_soon(read)
        bench.loop.settle()
        assert begun == [0, 1]


def test_what_was_refused_before_it_began_never_begins(bench: Bench) -> None:
    with bench.talk(limit_body=4) as talk:

        def read() -> None:
            talk.connection.data_received(WHOLE[2][: -len(b"0\r\n\r\n")])
            talk.connection.data_received(b"5\r\nabcde\r\n")

        bench.loop.call_soon(read)
        bench.loop.settle()
        assert not talk.outcome.methods
        assert [answer.status for answer in talk.answers] == [413]


def test_the_limit_holds_for_all_that_comes_in_one_turn(bench: Bench) -> None:
    with bench.talk(Unhurried, limit_in_flight=1) as talk:
        talk.connection.data_received(WHOLE[0])
        other = bench.beside(talk)
        other.connection.data_received(WHOLE[0])
        bench.loop.settle()
        assert [answer.status for answer in other.answers] == [503]
        assert talk.outcome.methods == ["GET"]


def test_a_request_that_cannot_be_begun_is_cut_and_harms_no_other(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    with bench.talk() as talk:
        monkeypatch.setattr(talk.connection.server.starter, "at_once", broken_once(talk.connection.server.starter.at_once))
        talk.connection.data_received(WHOLE[0])
        other = bench.beside(talk)
        other.connection.data_received(WHOLE[0])
        bench.loop.settle()
        assert talk.cut
        assert [answer.status for answer in other.answers] == [200]
    assert talk.outcome.problems.pop().startswith("a request could not be begun")


def broken_once(call: Callable[..., object]) -> Callable[..., object]:
    errors = [RuntimeError("broken")]

    def broken(*arguments: object) -> object:
        if errors:
            raise errors.pop()
        return call(*arguments)

    return broken


@pytest.mark.parametrize("request_", WHOLE[1:], ids=["length", "chunks"])
def test_a_request_begins_before_its_body_has_come(bench: Bench, request_: bytes) -> None:
    with bench.talk() as talk:
        talk.send(request_[: request_.index(b"\r\n\r\n") + 4])
        assert talk.outcome.methods == ["POST"]
        assert not talk.answers
        talk.send(request_[request_.index(b"\r\n\r\n") + 4 :])
        assert [answer.status for answer in talk.answers] == [200]


def test_without_keep_alive_the_clock_is_not_looked_at_all_the_time(bench: Bench) -> None:
    with bench.talk(keep_alive=0.0) as talk:
        talk.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert [answer.status for answer in talk.answers] == [200]
        before = bench.loop.clock
        looks = 0
        while not talk.cut:
            bench.loop.clock += 0.001
            bench.loop.settle()
            looks += talk.connection.server.now == bench.loop.clock
        assert looks < (bench.loop.clock - before) / 0.002


# ── a client that is slow ────────────────────────────────────────────────────────────────────────────────────────────

HEAD = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 84000\r\n\r\n"


@pytest.mark.parametrize(
    ("size", "every", "rate", "status"), [(1, 1, 240, 408), (100, 1, 240, 408), (300, 1, 240, 200), (7_000, 28, 240, 200)]
)
def test_a_body_must_come_at_a_certain_pace(bench: Bench, size: int, every: int, rate: int, status: int) -> None:
    with bench.talk(Echo, min_rate=rate) as talk:
        talk.send(HEAD)
        for _ in range(0, 84_000, size):
            if talk.answers:
                break
            talk.pass_time(every)
            talk.send(b"x" * size)
        assert [answer.status for answer in talk.answers] == [status]


@pytest.mark.slow
def test_a_body_may_take_for_ever_where_no_pace_is_asked_for(bench: Bench) -> None:
    with bench.talk(Echo, min_rate=0) as talk:
        talk.send(HEAD)
        for _ in range(420):
            talk.pass_time(10)
            talk.send(b"x" * 200)
        assert [answer.status for answer in talk.answers] == [200]


@pytest.mark.slow
def test_time_the_application_takes_is_not_the_clients(bench: Bench) -> None:
    with bench.talk(Sluggish) as talk:
        talk.send(HEAD)
        for _ in range(84):
            talk.send(b"x" * 1_000)
            talk.pass_time(10)  # the application sleeps for as long
        assert [answer.status for answer in talk.answers] == [200]


class Sluggish(Echo):
    """Takes ten seconds for each piece."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await no_lifespan(scope)
        while (await receive())["more_body"]:  # noqa: ASYNC110 - it sleeps by the bench's clock
            await asyncio.sleep(10)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body"})


@pytest.mark.parametrize(("bytes_read", "every", "gets_all"), [(0, 1, False), (100, 1, False), (1_400, 20, False), (300, 1, True)])
def test_an_answer_must_be_read_at_a_certain_pace(bench: Bench, bytes_read: int, every: int, gets_all: bool) -> None:
    with bench.talk(Large, slow=True) as talk:
        talk.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" * 2)
        for _ in range(120 // every):
            talk.pass_time(every)
            talk.read(bytes_read)
        assert talk.cut is not gets_all


def test_thousands_of_tiny_chunks_take_little_memory(bench: Bench) -> None:
    with bench.talk(Stubborn) as talk:
        talk.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(100):
            talk.send(b"2\r\nab\r\n" * 300)
        body = talk.connection.parsing.body  # type: ignore[union-attr]
        assert body is not None
        assert body.size == 60_000
        assert len(body._pieces) < 1_100
        assert body.take() == b"ab" * 30_000


class Stubborn(Echo):
    """Reads nothing for a minute."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await no_lifespan(scope)
        await asyncio.sleep(60)
        await super().__call__(scope, receive, send)


# ── the same requests for another parser ─────────────────────────────────────────────────────────────────────────────

METHODS = ("GET", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "HEAD")
TARGETS = ("/", "/a/b", "/a?b=c&d", "/?", "/%41%00", "/~a;b:c@d", "//a", "/a?b?c")
NAMES = ("X", "x-a", "Cookie", "!#$%&'*+-.^_`|~09", "Accept", "Transfer_Encoding")
VALUES = ("", "a", "a b", "a\tb", '"a", b;c', "\xa0\xff", "a:b", "0", ",,", "\x21\x7e")


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    """Return a sound request."""
    method, target, space = (draw(st.sampled_from(choice)) for choice in (METHODS, TARGETS, ("", " ", "  ", "\t")))
    fields = draw(st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(VALUES)), max_size=4))
    lines = [f"{method} {target} HTTP/1.1", "Host: a", *(f"{name}:{space}{text}{space}" for name, text in fields)]
    body = draw(st.none() | st.lists(st.binary(min_size=1, max_size=4), max_size=3))
    if body is None:
        return "\r\n".join([*lines, "", ""]).encode("latin-1")
    if draw(st.booleans()):
        head = "\r\n".join([*lines, f"Content-Length: {sum(map(len, body))}", "", ""]).encode("latin-1")
        return head + b"".join(body)
    head = "\r\n".join([*lines, "Transfer-Encoding: chunked", "", ""]).encode("latin-1")
    return head + b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in body) + b"0\r\n\r\n"


def read_by_h11(data: bytes) -> list[tuple[object, ...]]:
    """Return method, target, header fields and body of each request."""
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(data)
    found: list[tuple[object, ...]] = []
    while isinstance(event := connection.next_event(), h11.Request):
        body = b""
        while isinstance(piece := connection.next_event(), h11.Data):
            body += piece.data
        found.append((event.method.decode(), event.target, [(name, value) for name, value in event.headers], body))
        connection.send(h11.Response(status_code=200, headers=[(b"content-length", b"0")]))
        connection.send(h11.EndOfMessage())
        connection.start_next_cycle()
    return found


def read_by_us(outcome: Outcome) -> list[tuple[object, ...]]:
    return [(seen.method, seen.target, list(seen.headers), seen.body) for seen in outcome.seen]


@pytest.mark.slow
@given(sent=st.lists(requests(), min_size=1, max_size=4), cut=st.integers(0, 300))
def test_another_parser_reads_the_same_requests(bench: Bench, sent: list[bytes], cut: int) -> None:
    data = b"".join(sent)
    outcome = bench.run([data[:cut], data[cut:]])
    check(outcome)
    theirs = [
        (method, target + b"?" * (b"?" not in target), fields, body)  # type: ignore[operator]
        for method, target, fields, body in read_by_h11(data)
    ]
    assert read_by_us(outcome) == theirs
    assert len(outcome.answers) == len(sent)


# ── the fuzzer itself ────────────────────────────────────────────────────────────────────────────────────────────────


def test_fuzzing_for_a_moment_finds_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert fuzz(0.1, seed=1) == 0
    assert "nothing found" in capsys.readouterr().out


def test_a_finding_is_printed_small_and_fails_the_run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def run(trial: Trial, bench: Bench) -> tuple[object, ...]:
        assert b"GET" not in trial.data, "planted"
        return ()

    monkeypatch.setattr(Trial, "run", run)
    assert fuzz(5, seed=1) == 1
    said = capsys.readouterr().err
    assert "planted" in said
    assert "\nb'GET'\n" in said


def test_trials_come_from_their_seed_alone() -> None:
    pool = seeds()
    assert make_trial(pool, Random(7)) == make_trial(pool, Random(7))
    assert make_trial(pool, Random(7)) != make_trial(pool, Random(8))


def test_shrinking_keeps_what_fails(bench: Bench) -> None:
    trial = Trial(data=b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", cuts=(3, 9))
    assert problem_of(trial, bench) is None
    assert shrink(trial, lambda smaller: b"Host" in smaller.data) == Trial(data=b"Host")
