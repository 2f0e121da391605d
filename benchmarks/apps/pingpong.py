"""tamago's messenger measured from inside: a worker that asks and an agent that answers, as every other way to exchange messages is."""

from __future__ import annotations

import asyncio
import json
import statistics
import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qs

from tamago import Group, messenger

BATCH = 500  # messages between two waits for room


class Agent:
    """Answers pings, and counts a flood until the number announced has arrived."""

    def __init__(self) -> None:
        self._missing = 0

    async def start(self) -> None:
        messenger.on("ping", lambda data: messenger.send_to_app("pong", data))
        messenger.on("echo", lambda data: data)
        messenger.on("expect", self._expect)
        messenger.on("flood", self._count)

    def _expect(self, count: int) -> None:
        self._missing = count

    def _count(self, _data: str) -> None:
        self._missing -= 1
        if not self._missing:
            messenger.send_to_app("arrived")


async def one_way(payload: str, count: int) -> float:
    """Return messages a second."""
    arrived = asyncio.Event()
    messenger.once("arrived", lambda _: arrived.set())
    await messenger.request(Group.AGENT, "expect", count)
    began = time.perf_counter()
    for sent in range(0, count, BATCH):
        for _ in range(min(BATCH, count - sent)):
            messenger.send_to_agent("flood", payload)
        await messenger.drain()
    await arrived.wait()
    return count / (time.perf_counter() - began)


async def round_trips(payload: str, count: int, outstanding: int) -> tuple[float, float]:
    """Return round trips a second and the median in microseconds."""
    latencies: list[float] = []
    sent_at: deque[float] = deque()
    done = asyncio.Event()

    def ping() -> None:
        sent_at.append(time.perf_counter())
        messenger.send_to_agent("ping", payload)

    def pong(_data: str) -> None:
        latencies.append(time.perf_counter() - sent_at.popleft())  # answers come in order
        if len(latencies) <= count - outstanding:
            ping()
        elif len(latencies) == count:
            done.set()

    messenger.on("pong", pong)
    began = time.perf_counter()
    for _ in range(outstanding):
        ping()
    await done.wait()
    elapsed = time.perf_counter() - began
    messenger.off("pong", pong)
    return count / elapsed, 1e6 * statistics.median(latencies)


async def requests(payload: str, count: int, outstanding: int) -> tuple[float, float]:
    """Return the same for requests with replies, from `outstanding` tasks."""
    latencies: list[float] = []

    async def ask(times: int) -> None:
        for _ in range(times):
            began = time.perf_counter()
            await messenger.request(Group.AGENT, "echo", payload)
            latencies.append(time.perf_counter() - began)

    began = time.perf_counter()
    await asyncio.gather(*(ask(count // outstanding) for _ in range(outstanding)))
    return len(latencies) / (time.perf_counter() - began), 1e6 * statistics.median(latencies)


async def measure(plan: dict[str, Any]) -> dict[str, dict[str, float]]:
    figures = {}
    for size in plan["sizes"]:
        payload = "x" * size
        await round_trips(payload, plan["warm_up"], 16)
        figures[str(size)] = {
            "one_way": await one_way(payload, plan["one_way"]),
            "together": (await round_trips(payload, plan["together"], plan["outstanding"]))[0],
            "alone": (await round_trips(payload, plan["alone"], 1))[1],
            "requests_together": (await requests(payload, plan["together"], plan["outstanding"]))[0],
            "requests_alone": (await requests(payload, plan["alone"], 1))[1],
        }
    return figures


async def app(
    scope: dict[str, Any], receive: Callable[[], Awaitable[dict[str, Any]]], send: Callable[[dict[str, Any]], Awaitable[None]]
) -> None:
    """Carry out the plan in the query string and answer with the figures."""
    if scope["type"] == "lifespan":
        for kind in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{kind}.complete"})
        return
    query = parse_qs(scope["query_string"].decode())
    body = json.dumps(await measure(json.loads(query["plan"][0]))).encode()
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
