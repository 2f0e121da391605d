"""CPU time a request over all of a server's processes, robust on a busy machine; and requests a second, for what they are worth."""

from __future__ import annotations

import argparse
import asyncio
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any, Final

from benchmarks import procfs
from benchmarks.http_client import BadResponseError, Connection
from benchmarks.results import Result, Row, note, summary, table
from benchmarks.running import POLL, MeasurementError, Running, running
from benchmarks.servers import BARE, GRANIAN_WSGI, GTHREAD, SERVERS, TAMAGO, Server, chosen
from benchmarks.wrk import Load, load

WITHIN = 60.0
_WARM_UP = 2  # seconds: a just-in-time compiler needs them
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


async def measure(case: Case, servers: Sequence[Server], arguments: argparse.Namespace, notes: list[str]) -> dict[str, Turns]:
    """Start all servers, warm them up, and measure each in turn; and again as often as wanted. Return what was measured, by server.

    All run at once, since the machine is not equally fast from one minute to the next, and starting takes seconds. Who is not asked idles.
    And all are started anew, since where a process comes to lie in memory makes it some percent faster or slower for all its life.
    """
    samples: dict[str, Turns] = defaultdict(dict)
    for start in range(arguments.repeat):
        for (name, turn), sample in (await _measure_once(case, servers, arguments, notes)).items():
            samples[name][start * arguments.turns + turn] = sample
    return samples


async def _measure_once(
    case: Case, servers: Sequence[Server], arguments: argparse.Namespace, notes: list[str]
) -> dict[tuple[str, int], Row]:
    samples: dict[tuple[str, int], Row] = {}
    async with AsyncExitStack() as stack:
        sites: dict[Server, Running] = {}
        for server in servers:
            try:
                started = running(server, app=case.app, workers=arguments.workers, grace=5.0, tls=case.tls)
                sites[server] = await stack.enter_async_context(started)
                await answered(sites[server], tls=case.tls)
                await _load(sites[server], case, arguments, seconds=_WARM_UP)
            except MeasurementError as error:
                sites.pop(server, None)
                note(notes, f"{server.name}, {case.name}", error)
        for turn in range(arguments.turns):
            for server, site in sites.items():
                try:
                    samples[server.name, turn] = sample = await _sample(site, case, arguments)
                    print(f"{server.name}, {case.name}: {sample['rate']:.0f}/s, {sample['cpu']:.1f} µs", flush=True)
                except MeasurementError as error:
                    note(notes, f"{server.name}, {case.name}", error)
    return samples


async def _sample(site: Running, case: Case, arguments: argparse.Namespace) -> Row:
    family = site.tree()
    before = procfs.cpu_seconds(family)
    done = await _load(site, case, arguments, seconds=arguments.seconds)
    cpu = procfs.cpu_seconds(family) - before
    if not done.requests:
        raise MeasurementError("no request was answered")
    return {"rate": done.requests / done.seconds, "cpu": 1e6 * cpu / done.requests, "p99": done.p99, "failed": done.failed}


async def _load(site: Running, case: Case, arguments: argparse.Namespace, *, seconds: int) -> Load:
    url = f"{'https' if case.tls else 'http'}://127.0.0.1:{site.port}{case.path}"
    return await load(url, connections=arguments.connections, seconds=seconds, post=case.post, close=case.close)


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
    """Measure each case on each of its servers."""
    notes: list[str] = []
    samples: dict[tuple[str, str], Turns] = {}
    for case in cases:
        for server, turns in asyncio.run(measure(case, chosen(arguments.servers, case.servers), arguments, notes)).items():
            samples[server, case.name] = turns
    rows = [
        {"server": server, "case": case, "failed": sum(sample["failed"] for sample in taken.values()),
         **{key: summary(sample[key] for sample in taken.values()) for key in ("rate", "cpu", "p99")},
         "ours": _ours_beside(taken, samples.get((TAMAGO, case), {}))}
        for (server, case), taken in samples.items()
    ]  # fmt: skip
    return Result(
        name=name,
        rows=rows,
        notes=notes,
        settings={key: getattr(arguments, key) for key in ("workers", "connections", "seconds", "turns", "repeat")},
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
    parser.add_argument("--seconds", type=int, default=1)
    parser.add_argument("--turns", type=int, default=3, help="measurements of each server from one start to the next")
    parser.add_argument("--repeat", type=int, default=5, help="starts of each server")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--cases", nargs="*", default=[], metavar="PART", help="only cases whose name has one of these in it")
    add_load_arguments(parser)
