"""What tamago has set itself, as arithmetic over the figures. Reads results, measures nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from benchmarks.frameworks import EGGS, FASTAPI, PLAIN, ROUTE, SANIC, STRIPPED_EGG
from benchmarks.results import Result, Row
from benchmarks.servers import BARE, GTHREAD, SERVERS, TAMAGO
from benchmarks.throughput import HANDSHAKES, NATIVE

PRELOADING = {server.name for server in SERVERS.values() if server.preloads and server.name != TAMAGO}
PEERS = set(SERVERS) - PRELOADING - {TAMAGO}


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """`measured` must be at most `limit`, or at least if `at_least`."""

    text: str
    measured: float
    limit: float
    at_least: bool = False

    @property
    def is_met(self) -> bool:
        return self.measured >= self.limit if self.at_least else self.measured <= self.limit


class NotMeasuredError(Exception):
    """The figures lack a row a goal needs."""


def goals(result: Result) -> list[Goal]:
    """Return this benchmark's goals, none of them if tamago or its peers are not among the rows."""
    try:
        return list(GOALS[result.name](result)) if result.name in GOALS else []
    except NotMeasuredError:
        return []


def _row(result: Result, **wanted: object) -> Row:
    for row in result.rows:
        if all(row.get(key) == value for key, value in wanted.items()):
            return row
    raise NotMeasuredError


def _least(result: Result, names: set[str], workers: int, value: Callable[[Row], float]) -> float:
    values = [value(row) for row in result.rows if row["server"] in names and row["workers"] == workers]
    if not values:
        raise NotMeasuredError
    return min(values)


def _start(result: Result) -> Iterator[Goal]:
    def served(row: Row) -> float:
        median: float = row["served"]["median"]
        return median

    one, many = (served(_row(result, server=TAMAGO, workers=workers)) for workers in (1, 32))
    yield Goal(text="32 workers: times the start of 1", measured=many / one, limit=1.5)
    yield Goal(text="32 workers: share of the fastest peer without preload", measured=many / _least(result, PEERS, 32, served), limit=1 / 8)
    for name in sorted(PRELOADING):
        yield Goal(text=f"32 workers: share of {name}", measured=many / _least(result, {name}, 32, served), limit=1.0)


def _memory(result: Result) -> Iterator[Goal]:
    def pss(row: Row) -> float:
        value: float = row["pss"]
        return value

    few, some, many = (pss(_row(result, server=TAMAGO, app="realistic:app", workers=workers)) for workers in (2, 8, 32))
    yield Goal(text="each further worker, from 2 to 8 (MiB)", measured=(some - few) / 6, limit=8)
    yield Goal(text="each further worker, from 8 to 32 (MiB)", measured=(many - some) / 24, limit=8)
    yield Goal(text="32 workers: share of the smallest peer without preload", measured=many / _least(result, PEERS, 32, pss), limit=1 / 5)
    for name in sorted(PRELOADING):
        yield Goal(text=f"32 workers: share of {name}", measured=many / _least(result, {name}, 32, pss), limit=0.65)


def _reload(result: Result) -> Iterator[Goal]:
    row = _row(result, server=TAMAGO)
    turnover = max(row["new_up"]["median"], row["old_gone"]["median"])
    yield Goal(text="requests failed", measured=row["failed"], limit=0)
    yield Goal(
        text="slowest answer: times the slowest without a reload", measured=row["worst"]["median"] / row["worst_quiet"]["median"], limit=3
    )
    yield Goal(text="whole new generation: seconds beyond one start", measured=turnover - row["boot"]["median"], limit=2)


def _messenger(result: Result) -> Iterator[Goal]:
    for size in sorted({row["size"] for row in result.rows}):
        ours, eggs = _row(result, way="tamago", size=size), _row(result, way="Egg", size=size)

        def times(key: str, ours: dict[str, Any] = ours, eggs: dict[str, Any] = eggs) -> float:
            ratio: float = ours[key]["median"] / eggs[key]["median"]
            return ratio

        yield Goal(text=f"{size} bytes, one way: times Egg's rate", measured=times("one_way"), limit=2.5, at_least=True)
        yield Goal(text=f"{size} bytes, 64 round trips under way: times Egg's rate", measured=times("together"), limit=1.3, at_least=True)
        yield Goal(text=f"{size} bytes, one at a time: share of Egg's p50", measured=times("alone"), limit=1.0)


def _idle(result: Result) -> Iterator[Goal]:
    yield Goal(text="master, nest, agent and 8 workers: % of one core", measured=_row(result, server=TAMAGO)["percent"], limit=0.3)


def _ours_beside(result: Result, case: str, peer: str, key: str = "cpu") -> float:
    beside = _row(result, case=case, server=peer)["ours"]
    if not beside:
        raise NotMeasuredError
    median: float = beside[key]["median"]
    return median


def _http(result: Result) -> Iterator[Goal]:
    def ratio(case: str, peer: str, key: str = "cpu") -> float:
        return _ours_beside(result, case, peer, key)

    yield Goal(text="native handler: times the bare protocol's CPU", measured=ratio(NATIVE, BARE.name), limit=1.35)
    for case in ("ASGI, plain", "ASGI, path", "ASGI, 1 KiB JSON echo"):
        yield Goal(text=f"{case}: share of uvicorn's CPU", measured=ratio(case, "uvicorn"), limit=0.75)
    for case in ("FastAPI", *(f"ASGI, {size} {what}" for size in ("100 KiB", "10 MiB") for what in ("response", "upload"))):
        yield Goal(text=f"{case}: share of uvicorn's CPU", measured=ratio(case, "uvicorn"), limit=1.0)
    rate = ratio("ASGI, a connection a request", "uvicorn", "rate")
    yield Goal(text="a connection a request: times uvicorn's rate", measured=rate, limit=1.0, at_least=True)
    handshakes = ratio(HANDSHAKES, "uvicorn", "rate")
    yield Goal(text="TLS handshakes: times uvicorn's rate", measured=handshakes, limit=1.0, at_least=True)
    for case in ("Flask", "Django (WSGI)"):
        yield Goal(text=f"{case}: share of gunicorn gthread's CPU", measured=ratio(case, GTHREAD.name), limit=0.8)


def _framework(result: Result) -> Iterator[Goal]:
    for peer, limit in ((SANIC, 0.45), (EGGS, 0.25), (FASTAPI, 0.2), (BARE.name, 1.9)):
        yield Goal(text=f"{ROUTE}: share of {peer}'s CPU", measured=_ours_beside(result, ROUTE, peer), limit=limit)
    yield Goal(text=f"{PLAIN}: share of {BARE.name}'s CPU", measured=_ours_beside(result, PLAIN, BARE.name), limit=1.6)


def _framework_start(result: Result) -> Iterator[Goal]:
    ours, theirs = (_row(result, server=name)["served"]["median"] for name in (TAMAGO, STRIPPED_EGG))
    yield Goal(text="first answer: share of Egg's time", measured=ours / theirs, limit=1.0)


def _websocket(result: Result) -> Iterator[Goal]:
    for size in sorted({row["size"] for row in result.rows}):
        ours, theirs = (_row(result, server=name, size=size)["rate"]["median"] for name in (TAMAGO, "uvicorn"))
        yield Goal(text=f"{size} bytes: times uvicorn's messages a second", measured=ours / theirs, limit=1.0, at_least=True)


def _accept(result: Result) -> Iterator[Goal]:
    plain, fair = (_row(result, way=way)["cpu"]["median"] for way in ("plain accept", "fair accept"))
    yield Goal(text="a connection a request: times the CPU of plain accept", measured=fair / plain, limit=1.1)


def _drain(result: Result) -> Iterator[Goal]:
    for what in ("lost", "answered twice"):
        yield Goal(text=f"requests {what}", measured=result.settings[what], limit=0)
    yield Goal(text="requests answered", measured=result.settings["answered"], limit=100_000, at_least=True)


def _connections(result: Result) -> Iterator[Goal]:
    ours, uvicorns = _row(result, server=TAMAGO), _row(result, server="uvicorn")
    yield Goal(text="memory of an idle connection: share of uvicorn's", measured=ours["kib"] / uvicorns["kib"], limit=1.0)


GOALS: dict[str, Callable[[Result], Iterator[Goal]]] = {
    "start": _start,
    "memory": _memory,
    "reload": _reload,
    "messenger": _messenger,
    "idle": _idle,
    "http": _http,
    "framework": _framework,
    "framework-start": _framework_start,
    "websocket": _websocket,
    "accept": _accept,
    "drain": _drain,
    "connections": _connections,
}
