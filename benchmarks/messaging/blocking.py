"""The plan carried out over anything that blocks: `python -m benchmarks.messaging.blocking NAME PLAN` prints the figures as JSON.

Two processes, app and agent, talk over a `Line` each. Runs in the peers' environment.
"""

from __future__ import annotations

import json
import multiprocessing
import statistics
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol

from benchmarks.messaging.plan import Figures, FiguresBySize, Plan


class Line(Protocol):
    """One end. `send` may hold messages back; `receive` lets all of them go before it waits."""

    def send(self, action: str, data: Any) -> None: ...
    def flush(self) -> None: ...
    def receive(self) -> tuple[str, Any]: ...


class Exchange(Protocol):
    """What connects the two ends. Each end is made in the process that uses it."""

    def app(self) -> Line: ...
    def agent(self) -> Line: ...


def answer_forever(line: Line) -> None:
    """Be the agent: answer pings, count floods."""
    missing = 0
    while True:
        action, data = line.receive()
        if action == "ping":
            line.send("pong", data)
        elif action == "flood":
            missing -= 1
            if not missing:
                line.send("arrived", None)
        else:
            missing = data
            line.send("expecting", None)


def measure(line: Line, plan: Plan) -> FiguresBySize:
    """Be the app: carry out the plan."""
    figures = {}
    for size in plan.sizes:
        payload = "x" * size
        round_trips(line, payload, plan.warm_up, 16)
        figures[str(size)] = Figures(
            one_way=one_way(line, payload, plan.one_way),
            together=round_trips(line, payload, plan.together, plan.outstanding)[0],
            alone=round_trips(line, payload, plan.alone, 1)[1],
        )
    return figures


def one_way(line: Line, payload: str, count: int) -> float:
    line.send("expect", count)
    line.receive()
    began = time.perf_counter()
    for _ in range(count):
        line.send("flood", payload)
    line.flush()
    line.receive()
    return count / (time.perf_counter() - began)


def round_trips(line: Line, payload: str, count: int, outstanding: int) -> tuple[float, float]:
    """Return round trips a second and the median in microseconds."""
    latencies = []
    sent_at: deque[float] = deque()
    began = time.perf_counter()
    for _ in range(outstanding):
        sent_at.append(time.perf_counter())
        line.send("ping", payload)
    for number in range(count):
        line.receive()
        latencies.append(time.perf_counter() - sent_at.popleft())  # answers come in order
        if number < count - outstanding:
            sent_at.append(time.perf_counter())
            line.send("ping", payload)
    return count / (time.perf_counter() - began), 1e6 * statistics.median(latencies)


def _be_agent(exchange: Exchange) -> None:
    answer_forever(exchange.agent())


def _be_app(exchange: Exchange, plan: Plan, results: Any) -> None:
    results.send(measure(exchange.app(), plan))


@contextmanager
def _process(target: Callable[..., None], *arguments: object) -> Iterator[multiprocessing.process.BaseProcess]:
    process = multiprocessing.get_context("fork").Process(target=target, args=arguments)
    process.start()
    try:
        yield process
    finally:
        process.kill()
        process.join()


def run(exchange: AbstractContextManager[Exchange], plan: Plan) -> FiguresBySize:
    ours, theirs = multiprocessing.Pipe(duplex=False)
    with exchange as made, _process(_be_agent, made), _process(_be_app, made, plan, theirs):
        theirs.close()
        figures: FiguresBySize = ours.recv()
    return figures


def main() -> None:
    # Here and not above: they import this module, and Redis' client need not be installed to read it.
    from benchmarks.messaging.bare_relay import bare_relay  # noqa: PLC0415
    from benchmarks.messaging.queues import queues  # noqa: PLC0415
    from benchmarks.messaging.redis_pubsub import redis_pubsub  # noqa: PLC0415

    exchanges: dict[str, Callable[[], AbstractContextManager[Exchange]]] = {"relay": bare_relay, "queue": queues, "redis": redis_pubsub}
    print(json.dumps(run(exchanges[sys.argv[1]](), Plan.from_json(sys.argv[2]))))


if __name__ == "__main__":
    main()
