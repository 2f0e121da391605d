"""CPU time a request over all of a server's processes, robust on a busy machine; and requests a second, for what they are worth."""

from __future__ import annotations

import argparse
import asyncio
import time
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from benchmarks import procfs
from benchmarks.http_client import BadResponseError, Connection
from benchmarks.results import Result, Row, note, summary, table
from benchmarks.running import POLL, MeasurementError, Running, running
from benchmarks.servers import BARE, GRANIAN_WSGI, GTHREAD, SERVERS, TAMAGO, Server, installed
from benchmarks.wrk import Load, load

WITHIN = 60.0
_OURS = SERVERS[TAMAGO]
_ASGI = tuple(server for server in SERVERS.values() if not server.preloads or server is _OURS)
_WSGI = (_OURS, GTHREAD, GRANIAN_WSGI)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What is asked of which servers. `post`: bytes of a JSON body; `close`: a connection for each request; `tls`: over TLS."""

    name: str
    app: str
    path: str = "/"
    servers: tuple[Server, ...] = _ASGI
    post: int = 0
    close: bool = False
    tls: bool = False


NATIVE: Final = "native handler"
HANDSHAKES: Final = "ASGI, a TLS handshake a request"
CASES: Final = (
    Case(name=NATIVE, app="native:app", servers=(_OURS, BARE)),
    Case(name="ASGI, plain", app="plain:app"),
    Case(name="ASGI, path", app="plain:app", path="/items/12345"),
    Case(name="ASGI, 1 KiB JSON echo", app="plain:app", path="/echo", post=1024),
    Case(name="ASGI, 100 KiB response", app="plain:app", path="/bytes/102400"),
    Case(name="ASGI, 10 MiB response", app="plain:app", path="/bytes/10485760"),
    Case(name="ASGI, 100 KiB upload", app="plain:app", path="/upload", post=100 * 1024),
    Case(name="ASGI, 10 MiB upload", app="plain:app", path="/upload", post=10 * 1024 * 1024),
    Case(name="ASGI, a connection a request", app="plain:app", close=True),
    Case(name=HANDSHAKES, app="plain:app", servers=(_OURS, SERVERS["uvicorn"]), close=True, tls=True),
    Case(name="FastAPI", app="realistic:app", path="/orders/7"),
    Case(name="Flask", app="flask_plain:app", servers=_WSGI),
    Case(name="Django (WSGI)", app="django_plain:app", servers=_WSGI),
)


Turns = dict[int, dict[str, Any]]
"""What was measured of one server, by the turn in which that was."""


async def measure(server: Server, case: Case, arguments: argparse.Namespace) -> Row:
    """Start, wait for the first answer, warm up, measure."""

    async def requests(port: int, seconds: int) -> Load:
        url = f"{'https' if case.tls else 'http'}://127.0.0.1:{port}{case.path}"
        return await load(url, connections=arguments.connections, seconds=seconds, post=case.post, close=case.close)

    async with running(server, app=case.app, workers=arguments.workers, grace=5.0, tls=case.tls) as site:
        await answered(site, tls=case.tls)
        await requests(site.port, 1)
        family = site.tree()
        before = procfs.cpu_seconds(family)
        done = await requests(site.port, arguments.seconds)
        cpu = procfs.cpu_seconds(family) - before
    if not done.requests:
        raise MeasurementError("no request was answered")
    return {"rate": done.requests / done.seconds, "cpu": 1e6 * cpu / done.requests, "p99": done.p99, "failed": done.failed}


async def answered(site: Running, *, path: str = "/", tls: bool = False) -> None:
    """Wait until the server answers a request for `path`."""
    deadline = time.monotonic() + WITHIN
    while time.monotonic() < deadline:
        site.check()
        try:
            connection = await Connection.open(site.port, tls=tls)
            try:
                await connection.get(path)
                return
            finally:
                connection.close()
        except (OSError, BadResponseError):
            await asyncio.sleep(POLL)
    raise MeasurementError(f"no answer within {WITHIN:.0f} s")


def measured(name: str, cases: Iterable[Case], arguments: argparse.Namespace) -> Result:
    """Measure each case on each of its servers, all of them as often as wanted, one after the other."""
    notes: list[str] = []
    samples: dict[tuple[str, str], Turns] = defaultdict(dict)
    for turn in range(arguments.repeat):
        for case in cases:
            for server in installed(case.servers):
                if arguments.servers and not any(server.name.startswith(name) for name in arguments.servers):
                    continue
                try:
                    sample = asyncio.run(measure(server, case, arguments))
                except MeasurementError as error:
                    note(notes, f"{server.name}, {case.name}", error)
                    continue
                samples[server.name, case.name][turn] = sample
                print(f"{server.name}, {case.name}: {sample['rate']:.0f}/s, {sample['cpu']:.1f} µs", flush=True)
    rows = [
        {"server": name, "case": case, "failed": sum(sample["failed"] for sample in taken.values()),
         **{key: summary(sample[key] for sample in taken.values()) for key in ("rate", "cpu", "p99")},
         "ours": _ours_beside(taken, samples[TAMAGO, case])}
        for (name, case), taken in list(samples.items())
    ]  # fmt: skip
    return Result(
        name=name,
        rows=rows,
        notes=notes,
        settings={key: getattr(arguments, key) for key in ("workers", "connections", "seconds", "repeat")},
    )


def _ours_beside(theirs: Turns, ours: Turns) -> Row:
    """Return how many times theirs ours is, turn by turn: what stands side by side was measured while the machine was equally fast."""
    turns = theirs.keys() & ours.keys()
    return {key: summary(ours[turn][key] / theirs[turn][key] for turn in turns) for key in ("rate", "cpu") if turns}


def rendered(result: Result, cases: Iterable[Case]) -> str:
    order = [case.name for case in cases]
    rows = [
        [row["case"], row["server"], row["cpu"]["median"], row["rate"]["median"], row["p99"]["median"], row["failed"]]
        for row in sorted(result.rows, key=lambda row: (order.index(row["case"]), row["cpu"]["median"]))
    ]
    return table(rows, ["application", "server", "CPU a request (µs)", "requests/s", "p99 (ms)", "failed"])


def run(arguments: argparse.Namespace) -> Result:
    cases = [case for case in CASES if not arguments.cases or any(part.lower() in case.name.lower() for part in arguments.cases)]
    return measured("http", cases, arguments)


def render(result: Result) -> str:
    return rendered(result, CASES)


def add_load_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--repeat", type=int, default=3)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--cases", nargs="*", default=[], metavar="PART", help="only cases whose name has one of these in it")
    add_load_arguments(parser)
