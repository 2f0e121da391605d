"""Throws mutated requests at a connection until the time is over: `./scripts/fuzz [SECONDS] [SEED]`.

What must hold for any bytes: no exception, no hang, no answer that is none, no two answers for one request, nothing answered behind a
refusal, and the same result however the bytes are cut. A finding is made small, printed as a line for the corpus, and ends the run with 1.
"""

from __future__ import annotations

import ast
import random
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from tests.web import test_attacks
from tests.web.protocol import Bench, Echo, Hasty, Unhurried, check

CORPUS: Final = Path(__file__).with_name("corpus") / "requests.txt"

TOKENS: Final = (
    b"\r\n", b"\n", b"\r", b" ", b"\t", b":", b";", b",", b"\0", b"\x7f", b"\xff", b"0", b"1", b"a", b"/", b"*", b"?", b"#", b"%00",
    b"0\r\n\r\n", b"1\r\na\r\n", b"ffffffffffffffff\r\n", b"10000000000000000\r\n", b"\r\n\r\n", b"HTTP/1.1", b"HTTP/1.0", b"HTTP/2.0",
    b"Host: a\r\n", b"Host: b\r\n", b"Content-Length: 0\r\n", b"Content-Length: 1\r\n", b"Content-Length: 99999\r\n",
    b"Transfer-Encoding: chunked\r\n", b"Transfer-Encoding: gzip\r\n", b"Connection: close\r\n", b"Connection: keep-alive\r\n",
    b"Connection: upgrade\r\n", b"Upgrade: websocket\r\n", b"Upgrade: h2c\r\n", b"Expect: 100-continue\r\n", b"X: y\r\n",
    b"Sec-WebSocket-Version: 13\r\n", b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", b"GET ", b"POST ", b"HEAD ", b"PUT ",
    b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx", b"\x81\x80\0\0\0\0",
    b"\x88\x80\0\0\0\0",
)  # fmt: skip

# Below the size of a slice, past which limits are judged slice by slice. The limit of the request line is out of the way as well: whether a
# line is first too long or first wrong depends on how much of it is seen at once.
_MAX_SIZE = 12_000
_POOL = 4_000
_SHRINKING = 60.0  # seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One connection: its bytes, where they are cut, and how the client behaves."""

    data: bytes
    cuts: tuple[int, ...] = ()
    app: type[Echo] = Echo
    hang_up: bool = True
    slow: bool = False
    drain_at: int | None = None  # pieces after which the worker begins to drain

    @property
    def pieces(self) -> list[bytes]:
        edges = [0, *sorted({cut for cut in self.cuts if 0 < cut < len(self.data)}), len(self.data)]
        return [self.data[start:end] for start, end in pairwise(edges)]

    def run(self, bench: Bench) -> tuple[object, ...]:
        """Try it, assert what must hold, and return what it came to."""
        behaviour: dict[str, Any] = {"app": self.app, "hang_up": self.hang_up, "slow": self.slow, "drain_at": self.drain_at}
        outcome = bench.run(self.pieces, **behaviour, limit_request_line=_MAX_SIZE)
        check(outcome)
        if self.app is Echo and not self.slow and self.drain_at is None and self.cuts:
            whole = bench.run([self.data], hang_up=self.hang_up, limit_request_line=_MAX_SIZE)
            check(whole)
            if whole.essence() != outcome.essence():
                raise AssertionError(f"cut, it comes to {outcome.essence()!r:.500}, whole to {whole.essence()!r:.500}")
        return tuple((answer.status, answer.body[:60] if answer.status != 200 else b"", answer.closes) for answer in outcome.answers[:4])


def seeds() -> list[bytes]:
    """Return what fuzzing begins with: the corpus, and every attack we know."""
    lines = CORPUS.read_text().splitlines()
    corpus = [ast.literal_eval(line) for line in lines if line and not line.startswith("#")]
    tables: Sequence[Any] = [*test_attacks.REFUSED.values(), *test_attacks.READ.values(), *test_attacks.CLOSING.values()]
    attacks = [entry[0] if isinstance(entry, tuple) else entry for entry in tables]
    return corpus + [data for data in attacks if len(data) < _MAX_SIZE]


def mutate(data: bytes, pool: Sequence[bytes], rng: random.Random) -> bytes:
    """Return `data` after a few changes."""
    for _ in range(rng.randint(1, 5)):
        data = rng.choice(_MUTATIONS)(data, pool, rng)
    return data[:_MAX_SIZE]


def _span(data: bytes, rng: random.Random) -> tuple[int, int]:
    start = rng.randint(0, len(data))
    return start, min(len(data), start + rng.choice((1, 2, 4, 8, 30, 200)))


def _delete(data: bytes, _: Sequence[bytes], rng: random.Random) -> bytes:
    start, end = _span(data, rng)
    return data[:start] + data[end:]


def _repeat(data: bytes, _: Sequence[bytes], rng: random.Random) -> bytes:
    start, end = _span(data, rng)
    return data[:start] + data[start:end] * rng.choice((2, 3, 50)) + data[end:]


def _insert(data: bytes, _: Sequence[bytes], rng: random.Random) -> bytes:
    at = rng.randint(0, len(data))
    return data[:at] + rng.choice(TOKENS) + data[at:]


def _insert_line(data: bytes, _: Sequence[bytes], rng: random.Random) -> bytes:
    # Between lines is where most of it means something.
    lines = data.split(b"\r\n")
    lines.insert(rng.randint(0, len(lines)), rng.choice(TOKENS).rstrip(b"\r\n"))
    return b"\r\n".join(lines)


def _overwrite(data: bytes, _: Sequence[bytes], rng: random.Random) -> bytes:
    at = rng.randint(0, len(data))
    return data[:at] + bytes([rng.randrange(256)]) + data[at + 1 :]


def _splice(data: bytes, pool: Sequence[bytes], rng: random.Random) -> bytes:
    other = rng.choice(pool)
    return data[: rng.randint(0, len(data))] + other[rng.randint(0, len(other)) :]


def _append(data: bytes, pool: Sequence[bytes], rng: random.Random) -> bytes:
    return data + rng.choice(pool)


_MUTATIONS: Final = (_delete, _repeat, _insert, _insert, _insert_line, _insert_line, _overwrite, _splice, _append)


def make_trial(pool: Sequence[bytes], rng: random.Random) -> Trial:
    """Return a new one."""
    data = mutate(rng.choice(pool), pool, rng)
    cuts = range(len(data)) if len(data) < 400 and rng.random() < 0.1 else [rng.randint(0, len(data)) for _ in range(rng.randint(0, 6))]
    app = rng.choice((Echo, Echo, Hasty, Unhurried))
    return Trial(
        data=data,
        cuts=tuple(cuts),
        app=app,
        hang_up=rng.random() < 0.7,
        slow=rng.random() < 0.1,
        drain_at=rng.randint(0, 4) if rng.random() < 0.2 else None,
    )


def problem_of(trial: Trial, bench: Bench) -> Exception | None:
    """Return what is wrong, or None."""
    try:
        trial.run(bench)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is a finding
        return error
    return None


def shrink(trial: Trial, fails: Callable[[Trial], bool]) -> Trial:
    """Return a smaller trial that fails as well: first without cuts, then without pieces of its bytes; the best after a minute."""
    deadline = time.monotonic() + _SHRINKING
    for cuts in ((), tuple(range(len(trial.data)))):
        if fails(simpler := replace(trial, cuts=cuts)):
            trial = simpler
            break
    size = len(trial.data) // 2
    while size:
        at = 0
        while at < len(trial.data) and time.monotonic() < deadline:
            shorter = replace(trial, data=trial.data[:at] + trial.data[at + size :])
            if fails(shorter):
                trial = shorter
            else:
                at += size
        size //= 2
    return trial


def fuzz(seconds: float, seed: int) -> int:
    """Fuzz for so long; return the exit code."""
    rng = random.Random(seed)
    pool = seeds()
    known: set[tuple[object, ...]] = set()
    deadline = time.monotonic() + seconds
    trials = 0
    with closing(Bench()) as bench:
        while time.monotonic() < deadline:
            trial = make_trial(pool, rng)
            trials += 1
            try:
                signature = trial.run(bench)
            except Exception as error:  # noqa: BLE001 - whatever it is, it is a finding
                print(f"fuzz: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
                _report(_smallest(trial, error, bench), error, seed)
                return 1
            # Bytes that came to something new are worth changing further.
            if signature not in known and len(pool) < _POOL:
                known.add(signature)
                pool.append(trial.data)
    print(f"fuzz: {trials} connections in {seconds:.0f} s, {len(known)} different ends, nothing found (seed {seed})")
    return 0


def _smallest(trial: Trial, error: Exception, bench: Bench) -> Trial:
    return shrink(trial, lambda smaller: type(problem_of(smaller, bench)) is type(error))


def _report(trial: Trial, error: Exception, seed: int) -> None:
    with closing(Bench()) as bench:
        now = problem_of(trial, bench) or error
    print(f"fuzz: {type(now).__name__}: {now}", file=sys.stderr)
    print(f"app {trial.app.__name__}, hang_up {trial.hang_up}, slow {trial.slow}, drain_at {trial.drain_at}", file=sys.stderr)
    print(f"{len(trial.pieces)} pieces, seed {seed}", file=sys.stderr)
    print(f"add this line to {CORPUS}, then correct the server:", file=sys.stderr)
    print(repr(trial.data), file=sys.stderr)


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 60.0
    sys.exit(fuzz(seconds, int(sys.argv[2]) if len(sys.argv) > 2 else random.SystemRandom().getrandbits(32)))


if __name__ == "__main__":
    main()
